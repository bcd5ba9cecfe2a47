import { type Backend, type CommittedWithin, type Grant, SyncError, SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';
import { SettleOnce } from '../../src/async/settle-once.ts';
import { withVerbs } from '../with-verbs.ts';
import { got, settle, watch } from './faulty.ts';

const TTL = 10_000;

/** A store that is the user's database: what a commit within a transaction does is done at once, and the end is up to the test. */
function setUp() {
  const clock = new VirtualClock();
  const store = new MemoryStore({ contention: 'queue', clock });
  const open: { readonly end: () => void; readonly over: Promise<void> }[] = [];
  const asked = { commits: 0, ends: 0 };
  const make = (verbs?: Partial<Backend>): SyncManager => {
    const backend = memory({ store });
    const commitWithin: Backend['commitWithin'] = async (_, commit): Promise<CommittedWithin> => {
      const transaction = new SettleOnce<void>();
      open.push({ end: () => transaction.resolve(), over: transaction.promise });
      asked.commits++;
      return {
        result: await backend.commit(commit, new AbortController().signal),
        ended: async (signal) => {
          asked.ends++;
          const call = new SettleOnce<void>().follow(signal);
          transaction.promise.then(() => call.resolve());
          await call.promise;
        },
      };
    };
    return new SyncManager({
      name: 'svc',
      backend: withVerbs(backend, { commitWithin, ...verbs }),
      clock,
      session: { ttl: TTL, lockDelay: 0 },
      handOff: { within: 10 * TTL },
    });
  };
  return { clock, store, make, open, asked };
}

const write = ({ isOwner }: Grant) => ({ when: [isOwner], then: [{ put: 'data', value: 'x' }] });
const transaction = { in: 'a transaction' };

describe("a grant whose proof is part of a user's transaction", () => {
  test('is neither handed on nor released before that is over, and nobody asks until somebody waits for it', async () => {
    const { clock, store, make, open, asked } = setUp();
    const sync = make();
    const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
    await clock.advance(10);
    const done = watch(sync.commit(write(got(first)), transaction));
    await clock.advance(TTL / 4);
    expect([done.value?.ok, asked]).toEqual([true, { commits: 1, ends: 0 }]);
    const released = watch(got(first).release());
    await clock.advance(TTL / 2);
    expect([released.done, second.done, asked.ends]).toEqual([false, false, 1]);
    expect(store.records().filter(({ session }) => session !== undefined)).toHaveLength(1);
    open[0]?.end();
    await clock.advance(1);
    // It was handed on: nothing of it is in doubt.
    expect([released.done, got(second).token]).toEqual([true, got(first).token + 1n]);
    await settle(clock, sync.stop());
  });

  test('is released at the store after a TTL, and never handed on', async () => {
    const { clock, make } = setUp();
    const sync = make();
    const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
    await clock.advance(10);
    await sync.commit(write(got(first)), transaction);
    const released = watch(got(first).release());
    await clock.advance(TTL - 1);
    expect([released.done, second.done]).toEqual([false, false]);
    await clock.advance(2);
    expect(released.done).toBe(true);
    await clock.advance(10);
    expect(got(second).token >> 16n).toBeGreaterThan(got(first).token >> 16n);
    await settle(clock, sync.stop());
  });

  test('keeps nobody for longer than a TTL also where the store keeps the record until the transaction is over', async () => {
    const { clock, store, make, open } = setUp();
    const backend = memory({ store });
    let stuck = false;
    const sync = make({
      commit: async (commit, signal) => {
        if (stuck && commit.then.some(({ remove }) => remove !== undefined)) await open[0]?.over;
        return await backend.commit(commit, signal);
      },
    });
    const first = watch(sync.acquire('k'));
    await clock.advance(10);
    await sync.commit(write(got(first)), transaction);
    stuck = true;
    const released = watch(got(first).release());
    await clock.advance(TTL + 1);
    expect(released.done).toBe(true);
    expect(store.records().filter(({ session }) => session !== undefined)).toHaveLength(1);
    open[0]?.end();
    await clock.advance(10);
    expect(store.records().filter(({ session }) => session !== undefined)).toEqual([]);
    await settle(clock, sync.stop());
  });

  test('does not wait for one in which its proof was refused', async () => {
    const { clock, make, asked } = setUp();
    const sync = make();
    const first = watch(sync.acquire('k'));
    await clock.advance(10);
    const { isOwner } = got(first);
    const refused = await sync.commit(
      { when: [isOwner, { key: 'missing', revision: 1n }], then: [{ put: 'data', value: 'x' }] },
      transaction,
    );
    expect(refused).toMatchObject({ ok: false, why: 'conflict' });
    const released = watch(got(first).release());
    await clock.advance(1);
    expect([released.done, asked.ends]).toEqual([true, 0]);
    await settle(clock, sync.stop());
  });

  test('waits for each of several, under a copy of the proof too', async () => {
    const { clock, make, open } = setUp();
    const sync = make();
    const first = watch(sync.acquire('k'));
    await clock.advance(10);
    const grant = got(first);
    await sync.commit(write(grant), transaction);
    await sync.commit({ ...write(grant), when: [structuredClone(grant.isOwner)] }, transaction);
    const released = watch(grant.release());
    open[0]?.end();
    await clock.advance(100);
    expect(released.done).toBe(false);
    open[1]?.end();
    await clock.advance(1);
    expect(released.done).toBe(true);
    await settle(clock, sync.stop());
  });

  test('remembers a bounded number of those that are over', async () => {
    const { clock, make, open, asked } = setUp();
    const sync = make();
    const first = watch(sync.acquire('k'));
    await clock.advance(10);
    for (let n = 0; n < 1_000; n++) {
      await sync.commit(write(got(first)), transaction);
      open[n]?.end();
      await clock.advance(0);
    }
    expect(asked.ends).toBe(1_000);
    const released = watch(got(first).release());
    await clock.advance(1);
    expect([released.done, asked.ends]).toEqual([true, 1_000]);
    await settle(clock, sync.stop());
  });

  test('is not handed on after a commit of which nobody knows what it has come to', async () => {
    const { clock, make } = setUp();
    const sync = make({
      commitWithin: () => Promise.reject(new SyncError('unavailable', 'the connection was lost')),
    });
    const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
    await clock.advance(10);
    expect(watch(sync.commit(write(got(first)), transaction))).toMatchObject({ done: false });
    void got(first).release();
    await clock.advance(10);
    expect(got(second).token >> 16n).toBeGreaterThan(got(first).token >> 16n);
    await settle(clock, sync.stop());
  });
});

describe('sync.commit, within a transaction', () => {
  test('is refused by name where the store is not the database of the user', async () => {
    const sync = new SyncManager({ name: 'svc', backend: memory() });
    const refused = sync.commit({ then: [] }, transaction);
    await expect(refused).rejects.toMatchObject({ code: 'invalid-option', outcome: 'refused' });
    await expect(refused).rejects.toThrow(
      'option "in" is a transaction, and the backend "memory" knows none of the user\'s',
    );
    await sync.stop();
  });

  test('is under the limits and the rules of every commit', async () => {
    const { clock, make, asked } = setUp();
    const sync = make();
    const first = watch(sync.acquire('k'));
    await clock.advance(10);
    const into = (key: string) => sync.commit({ then: [{ put: key, value: 'x' }] }, transaction);
    await expect(into('k')).rejects.toMatchObject({ code: 'invalid-key' });
    await expect(into('a/.lock/b')).rejects.toMatchObject({ code: 'invalid-key' });
    const { isOwner } = got(first);
    await settle(clock, got(first).release());
    expect(asked.commits).toBe(0);
    expect(await sync.commit({ when: [isOwner] }, transaction)).toMatchObject({ ok: false, why: 'conflict' });
    await settle(clock, sync.stop());
  });

  test('ends by its signal, and the grant waits for what goes on', async () => {
    const { clock, make, open, asked } = setUp();
    const sync = make();
    const controller = new AbortController();
    const aborted = sync.commit(
      { then: [] },
      { ...transaction, signal: AbortSignal.abort(new Error('before')) },
    );
    await expect(aborted).rejects.toThrow('before');
    expect(asked.commits).toBe(0);
    const first = watch(sync.acquire('k'));
    await clock.advance(10);
    const given = sync.commit(write(got(first)), { ...transaction, signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    const released = watch(got(first).release());
    await clock.advance(100);
    expect([asked.commits, released.done]).toEqual([1, false]);
    open[0]?.end();
    await clock.advance(1);
    expect(released.done).toBe(true);
    await settle(clock, sync.stop());
  });
});
