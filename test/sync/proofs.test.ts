import { type Condition, type Grant, type Proof, SyncError, type SyncManager } from 'holdfast';
import { VirtualClock } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';
import { Grant as GrantOf } from '../../src/sync/callers/grant.ts';
import { Proofs } from '../../src/sync/callers/proofs.ts';
import { Session } from '../../src/sync/session/session.ts';
import { type Fault, got, isRemoval, isWriteTo, setUp, watch } from './faulty.ts';

const TTL = 10_000;

/** What may become of a proof on its way through a program. */
const copies: Readonly<Record<string, (proof: Proof) => Condition>> = {
  'the proof itself': (proof) => proof,
  'a copy': (proof) => ({ ...proof }),
  'a clone': (proof) => structuredClone(proof),
  'a proof from JSON': (proof) => {
    const text = JSON.stringify(proof, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
    return JSON.parse(text, (name, value) => (name === 'revision' ? BigInt(value) : value));
  },
};

const write = (proof: Condition, value = 'written') => ({ when: [proof], then: [{ put: 'data', value }] });
const bare = ({ key, revision }: Proof): Condition => ({ key, revision });

/** Two callers of one process, of whom the first has handed the lock on to the second. */
async function handedOn(clock: VirtualClock, sync: SyncManager): Promise<readonly [Grant, Grant]> {
  const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
  await clock.advance(10);
  void got(first).release();
  await clock.advance(10);
  expect(got(second).token).toBe(got(first).token + 1n);
  return [got(first), got(second)];
}

describe.each(['queue', 'race'] as const)(
  '%s: a condition on a lock is looked up by what it says',
  (contention) => {
    test.each(Object.keys(copies))('A8: %s passes for the holder, and not for a former one', async (kind) => {
      const copy = copies[kind] as (proof: Proof) => Condition;
      const { clock, store, make } = setUp(contention);
      const sync = make();
      const [first, second] = await handedOn(clock, sync);
      const stale = watch(sync.commit({ ...write(copy(first.isOwner)), read: { key: 'data' } }));
      await clock.advance(10);
      expect(stale.value).toEqual({ ok: false, why: 'conflict', read: [] });
      const fresh = watch(sync.commit(write(copy(second.isOwner))));
      await clock.advance(10);
      expect([fresh.value?.ok, store.records('data').length]).toEqual([true, 1]);
    });

    test('A8: without its hand-off it is the proof of the one who acquired from the store', async () => {
      const { clock, make } = setUp(contention);
      const sync = make();
      const alone = watch(sync.acquire('other'));
      await clock.advance(10);
      const passing = watch(sync.commit(write(bare(got(alone).isOwner))));
      const [first, second] = await handedOn(clock, sync);
      const stale = [first, second].map(({ isOwner }) => watch(sync.commit(write(bare(isOwner)))));
      await clock.advance(10);
      expect(passing.value?.ok).toBe(true);
      expect(stale.map(({ value }) => value)).toEqual([
        { ok: false, why: 'conflict' },
        { ok: false, why: 'conflict' },
      ]);
    });

    test('A8: a clone is refused once the grant was given back, also while its record still stands', async () => {
      const { clock, store, make } = setUp(contention);
      const sync = make((request, pass) => {
        if (isRemoval(request)) throw new SyncError('unavailable', 'cut off');
        return pass();
      });
      const grant = watch(sync.acquire('k'));
      await clock.advance(10);
      const { isOwner } = got(grant);
      void got(grant).release();
      await clock.advance(10);
      expect(store.records(isOwner.key)).toHaveLength(1);
      const stale = watch(sync.commit(write(structuredClone(isOwner))));
      await clock.advance(10);
      expect(stale.value).toEqual({ ok: false, why: 'conflict' });
    });

    test('A8: after a loss the earlier proofs of the holding stay refused for as long as its record may stand', async () => {
      const { clock, store, make } = setUp(contention);
      let cut = false;
      const fault: Fault = (request, pass) => {
        if (cut && !isWriteTo('data')(request)) throw new SyncError('unavailable', 'cut off');
        return pass();
      };
      const sync = make(fault, {
        session: { ttl: TTL, lockDelay: 0, margin: TTL / 2, renewInterval: TTL / 5 },
      });
      const [first, second] = await handedOn(clock, sync);
      cut = true;
      await clock.advance(0.8 * TTL);
      expect(second.signal.reason).toMatchObject({ code: 'lost' });
      expect(store.records(second.isOwner.key)).toHaveLength(1);
      const [early, last] = [first, second].map(({ isOwner }) =>
        watch(sync.commit(write(structuredClone(isOwner)))),
      );
      await clock.advance(10);
      expect([early?.value, last?.value?.ok]).toEqual([{ ok: false, why: 'conflict' }, true]);
    });
  },
);

describe('what is known of proofs', () => {
  const session = (clock: VirtualClock) =>
    new Session({ id: 's', ttl: TTL }, { now: clock.now(), lead: 0 }, 0, clock, () => undefined);
  const holding = (name: string, revision = 1n) => ({
    record: name,
    session: 's',
    revision,
    token: revision,
  });
  const granted = (clock: VirtualClock, name: string, handOff: number) =>
    new GrantOf(name, session(clock), holding(name), handOff, async () => undefined);

  test('A8: is forgotten with the record, for any number of keys', () => {
    const clock = new VirtualClock();
    const proofs = new Proofs(clock);
    for (let number = 0; number < 1_000; number++) {
      const grants = [0, 1].map((handOff) => granted(clock, `k${number}`, handOff));
      for (const grant of grants) proofs.granted(grant);
      expect(proofs.size).toBe(1);
      proofs.removed(holding(`k${number}`, 2n));
      expect(proofs.size).toBe(1);
      proofs.removed(holding(`k${number}`));
      expect(proofs.size).toBe(0);
    }
  });

  test('A8: is forgotten in time where the end of the record is not known, and at once where there is nothing to know', async () => {
    const clock = new VirtualClock();
    const proofs = new Proofs(clock);
    const grants = [0, 1].map((handOff) => granted(clock, `k${handOff}`, handOff));
    for (const grant of grants) {
      proofs.granted(grant);
      grant.end('deadline');
      proofs.ended(grant, TTL);
    }
    // Who never handed it on had the only proof, and the store decides on that.
    expect(proofs.size).toBe(1);
    expect(proofs.of({ key: 'k1', revision: 1n })).toBe('over');
    expect(proofs.of({ key: 'k1', revision: 2n })).toBeUndefined();
    expect(proofs.of(grants[1]?.isOwner as Proof)).toBeUndefined();
    await clock.advance(4 * TTL - 1);
    expect(proofs.size).toBe(1);
    await clock.advance(1);
    expect(proofs.size).toBe(0);
  });
});
