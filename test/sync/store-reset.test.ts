import { type Backend, type CommitResult, SyncError, type SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import type { VirtualClock } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';
import { forwardOnly } from '../../src/sync/manager/forward-only.ts';
import { withVerbs } from '../with-verbs.ts';
import { type Fault, got, isOwnedPut, isRemoval, setUp, watch } from './faulty.ts';

const live = new AbortController().signal;

async function turn(clock: VirtualClock, sync: SyncManager): Promise<bigint> {
  const grant = watch(sync.acquire('k'));
  await clock.advance(10);
  const { token } = got(grant);
  watch(got(grant).release());
  await clock.advance(10);
  return token;
}

/** Loses the replies to requests of a kind, or what is asked itself, while it is told to. */
function losing() {
  const lost = { puts: 0, removals: 0, told: 0 };
  const fault: Fault = async (request, pass) => {
    if (isRemoval(request) && lost.removals > 0) {
      lost.removals -= 1;
      lost.told += 1;
      throw new SyncError('unavailable', 'the request was lost');
    }
    const answer = await pass();
    if (!isOwnedPut(request) || lost.puts === 0) return answer;
    lost.puts -= 1;
    lost.told += 1;
    throw new SyncError('unavailable', 'the reply was lost');
  };
  return { lost, fault };
}

async function expectReset(clock: VirtualClock, sync: SyncManager, store: MemoryStore): Promise<void> {
  // One after the other: it is the first that has to notice.
  for (const key of ['k', 'k', 'other']) {
    const call = watch(sync.acquire(key, { timeout: 20_000 }));
    await clock.advance(30_000);
    expect([call.value?.token, call.code]).toEqual([undefined, 'store-reset']);
  }
  expect(store.records()).toEqual([]);
}

describe.each(['queue', 'race'] as const)(
  '%s: a store that is restored while the session lives',
  (contention) => {
    async function restored() {
      const { lost, fault } = losing();
      const { clock, store, make } = setUp(contention);
      const sync = make(fault);
      await turn(clock, sync);
      const copy = store.copy();
      for (let round = 0; round < 10; round++) await turn(clock, sync);
      store.restore(copy);
      return { clock, store, sync, lost };
    }

    test('A6: the reply to the first put is lost: nothing is granted any more', async () => {
      const { clock, store, sync, lost } = await restored();
      lost.puts = 1;
      await expectReset(clock, sync, store);
      expect(lost.told).toBe(1);
    });

    test('A6: the replies to several puts are lost, and what is taken back is not', async () => {
      const { clock, store, sync, lost } = await restored();
      Object.assign(lost, { puts: 2, removals: 1 });
      await expectReset(clock, sync, store);
      expect(lost.told).toBe(3);
    });

    test.each([1, 3])('A6: taking back fails, %i times: nothing is granted any more', async (removals) => {
      const { clock, store, sync, lost } = await restored();
      lost.removals = removals;
      await expectReset(clock, sync, store);
      expect(lost.told).toBe(removals);
    });

    test('A6: a record that came back in our name is not taken for ours', async () => {
      const { clock, store, make } = setUp(contention);
      const sync = make();
      const grant = watch(sync.acquire('k'));
      await clock.advance(10);
      const copy = store.copy();
      watch(got(grant).release());
      await clock.advance(10);
      for (let round = 0; round < 10; round++) await turn(clock, sync);
      store.restore(copy);
      expect(store.records()).toHaveLength(1);
      await expectReset(clock, sync, store);
    });

    test('A6: a record that came back while we hold by a later one is a loss', async () => {
      const { clock, store, make } = setUp(contention);
      const sync = make();
      const first = watch(sync.acquire('k'));
      await clock.advance(10);
      const copy = store.copy();
      watch(got(first).release());
      await clock.advance(10);
      const second = watch(sync.acquire('k'));
      await clock.advance(200);
      store.restore(copy);
      await clock.advance(10);
      expect(got(second).held).toBe(false);
      await expectReset(clock, sync, store);
    });
  },
);

test('A6: a record of a new session with a revision of before is remembered, though it cannot be taken back', async () => {
  const { lost, fault } = losing();
  const { clock, store, make } = setUp('race');
  const sync = make(fault);
  for (let round = 0; round < 10; round++) await turn(clock, sync);
  watch(sync.acquire('k'));
  await clock.advance(10);
  store.wipe();
  Object.assign(lost, { puts: 1, removals: 2 });
  await clock.advance(30_000);
  await expectReset(clock, sync, store);
});

describe('what says nothing of a reset', () => {
  async function own(backend: Backend): Promise<string> {
    return (await backend.openSession({ name: 'n', ttl: 60_000, lockDelay: 0 }, live)).id;
  }
  const put = (key: string, session: string) => ({ put: key, value: new Uint8Array([7]), session });
  const revisionOf = (result: CommitResult): bigint => (result.ok ? result.revision : -1n);

  test.each(['queue', 'race'] as const)(
    'A6: %s: the same session puts the same value again, under its revision and under no condition',
    async (contention) => {
      const backend = forwardOnly(memory({ store: new MemoryStore({ contention }) }));
      const session = await own(backend);
      const then = [put('a', session)];
      const first = await backend.commit({ when: [{ key: 'a', is: 'absent' }], then }, live);
      await backend.commit({ when: [{ key: 'b', is: 'absent' }], then: [put('b', session)] }, live);
      const when = [{ key: 'a', revision: revisionOf(first) }];
      const again = await backend.commit({ when, then }, live);
      expect(again.ok).toBe(true);
      if (contention === 'race') expect(again).toEqual(first);
      expect((await backend.commit({ when: [], then }, live)).ok).toBe(true);
      const beside = [...then, { put: 'plain', value: new Uint8Array() }];
      const unchanged = [{ key: 'a', revision: revisionOf(again) }];
      if (contention === 'race')
        expect((await backend.commit({ when: unchanged, then: beside }, live)).ok).toBe(true);
      expect((await backend.query({ key: 'a' }, { signal: live })).records).toHaveLength(1);
      const fresh = await backend.commit(
        { when: [{ key: 'c', is: 'absent' }], then: [put('c', session)] },
        live,
      );
      expect(fresh.ok).toBe(true);
    },
  );

  test('A6: a record that stands already when the next put for it has no answer', async () => {
    const store = new MemoryStore({ contention: 'race' });
    const server = memory({ store });
    let deaf = false;
    const backend = forwardOnly({
      ...withVerbs(server, {}),
      commit: async (commit, signal) => {
        const answer = await server.commit(commit, signal);
        if (deaf) throw new SyncError('unavailable', 'no answer');
        return answer;
      },
    });
    const session = await own(backend);
    const a = { when: [{ key: 'a', is: 'absent' }], then: [put('a', session)] } as const;
    expect(await backend.commit(a, live)).toMatchObject({ ok: true });
    await backend.commit({ when: [{ key: 'b', is: 'absent' }], then: [put('b', session)] }, live);
    deaf = true;
    await expect(backend.commit(a, live)).rejects.toMatchObject({ code: 'unavailable' });
    deaf = false;
    expect((await backend.query({ key: 'a' }, { signal: live })).records).toHaveLength(1);
    expect(await backend.commit(a, live)).toMatchObject({ ok: false, why: 'conflict' });
    expect((await backend.query({ key: 'a' }, { signal: live })).records).toHaveLength(1);
  });

  test('A6: what a first put without an answer comes to late, after a second one was refused', async () => {
    const store = new MemoryStore({ contention: 'race' });
    const server = memory({ store });
    let hold = false;
    let late = async (): Promise<unknown> => undefined;
    const backend = forwardOnly({
      ...withVerbs(server, {}),
      commit: async (commit, signal) => {
        if (!hold) return await server.commit(commit, signal);
        hold = false;
        late = () => server.commit(commit, signal);
        throw new SyncError('unavailable', 'no answer');
      },
    });
    const session = await own(backend);
    const a = { when: [{ key: 'a', is: 'absent' }], then: [put('a', session)] } as const;
    hold = true;
    await expect(backend.commit(a, live)).rejects.toMatchObject({ code: 'unavailable' });
    store.commit({ when: [], then: [{ put: 'a', value: new Uint8Array() }] });
    expect(await backend.commit(a, live)).toMatchObject({ ok: false });
    await backend.query({ key: 'a' }, { signal: live });
    store.commit({ when: [], then: [{ remove: 'a' }] });
    await late();
    for (const key of ['b', 'c']) {
      await backend.commit({ when: [{ key, is: 'absent' }], then: [put(key, session)] }, live);
    }
    expect(await backend.commit(a, live)).toMatchObject({ ok: false });
    expect((await backend.query({ key: 'a' }, { signal: live })).records).toHaveLength(1);
  });
});
