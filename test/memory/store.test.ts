import { getEventListeners } from 'node:events';
import { MemoryStore, memory } from 'holdfast/memory';
import { expect, it } from 'vitest';
import type { Clock } from '../../src/async/clock.ts';
import { blocked, commit, put, session, settled, signal, virtual } from './helpers.ts';

const race = { contention: 'race' } as const;

it('in a race a plain put leaves the owner and makes the record foreign, until the owner puts again', async () => {
  const { backend, store } = virtual(race);
  const owner = await session(backend);
  await commit(backend, [put('a', owner)]);
  expect(store.records()[0]).not.toHaveProperty('foreign');
  await commit(backend, [put('a')]);
  expect(store.records()[0]).toMatchObject({
    session: owner,
    foreign: 'a plain value',
    created: 1n,
    revision: 2n,
  });
  await commit(backend, [put('a', owner)]);
  expect(store.records()[0]).not.toHaveProperty('foreign');
  expect(store.records()[0]).toMatchObject({ created: 1n, revision: 3n });
});

it('in a race a plain record is foreign, and taking it makes it anew', async () => {
  const { backend, store } = virtual(race);
  await commit(backend, [put('a')]);
  expect(store.records()[0]).toMatchObject({ session: undefined, foreign: 'a plain value' });
  await commit(backend, [put('a', await session(backend))], [{ key: 'a', is: 'unowned' }]);
  expect(store.records()[0]).toMatchObject({ created: 2n, revision: 2n });
});

it('in a race a put of what is there already changes nothing, in a queue it does', async () => {
  for (const [options, revision] of [
    [race, 1n],
    [{}, 3n],
  ] as const) {
    const { backend, store } = virtual(options);
    const owner = await session(backend);
    await commit(backend, [put('a', owner)]);
    await commit(backend, [put('a', owner)]);
    expect(await commit(backend, [put('a', owner)])).toEqual({ ok: true, revision });
    expect(store.records()[0]).toMatchObject({ created: 1n, revision });
    expect(await commit(backend, [put('a', owner), put('b')])).toEqual({ ok: true, revision: revision + 1n });
  }
});

it('in a race an owned put on the record of another session conflicts by itself', async () => {
  const { backend, store } = virtual(race);
  const [one, two] = [await session(backend), await session(backend)];
  await commit(backend, [put('a', one)]);
  expect(await commit(backend, [put('b'), put('a', two)])).toEqual({ ok: false, why: 'conflict' });
  expect(store.records()).toHaveLength(1);
});

it('in a queue an owned put replaces the owner, and a plain one detaches the record; neither is foreign', async () => {
  const { backend, store } = virtual();
  const [one, two] = [await session(backend), await session(backend)];
  await commit(backend, [put('a', one)]);
  await commit(backend, [put('a', two)]);
  await backend.closeSession(one, signal);
  expect(store.records()[0]).toMatchObject({ session: two, created: 1n, revision: 2n });
  await commit(backend, [put('a')]);
  await backend.closeSession(two, signal);
  expect(store.records()[0]).toMatchObject({ session: undefined, created: 1n, revision: 3n });
  expect(store.records()[0]).not.toHaveProperty('foreign');
});

it('one commit is one revision, a refused one and one that changes nothing are none', async () => {
  const { backend, store } = virtual();
  const owner = await session(backend);
  expect(await commit(backend, [put('a', owner), put('b', owner)])).toEqual({ ok: true, revision: 1n });
  expect(await commit(backend, [put('a')], [{ key: 'a', is: 'absent' }])).toMatchObject({ ok: false });
  expect(await commit(backend, [{ remove: 'none' }])).toEqual({ ok: true, revision: 1n });
  await backend.closeSession(owner, signal);
  expect(await commit(backend, [put('c')])).toEqual({ ok: true, revision: 3n });
  expect(store.commits).toBe(4);
});

it('only commits with mutations count as consensus writes', async () => {
  const { backend, store } = virtual();
  const id = await session(backend);
  await backend.renewSession(id, signal);
  await backend.query({ key: 'a' }, { signal });
  await backend.commit({ when: [{ key: 'a', is: 'absent' }], then: [], read: { key: 'a' } }, signal);
  expect(store.commits).toBe(0);
});

it('a session expires by the clock although no timer fired, and by the factor', async () => {
  for (const expiry of [1, 2]) {
    const { backend, store, clock } = virtual({ expiry });
    const id = await session(backend, 1000);
    await commit(backend, [put('a', id)]);
    clock.stall(1000 * expiry - 1);
    expect(store.records()).toHaveLength(1);
    clock.stall(1);
    expect(store.records()).toEqual([]);
    expect(await backend.renewSession(id, signal)).toBe('gone');
    expect(clock.pending).toBe(0);
  }
});

it('a blocked query sees each session expire at its time', async () => {
  const { backend, clock } = virtual();
  for (const ttl of [3000, 1000, 2000]) await commit(backend, [put(`a/${ttl}`, await session(backend, ttl))]);
  for (const left of [2, 1, 0]) {
    const { state } = await blocked(backend, { prefix: 'a/' });
    await clock.advance(999);
    expect(state.result).toBeUndefined();
    await clock.advance(1);
    expect(state.result?.records).toHaveLength(left);
  }
});

it('a renewal during a blocked query puts the expiry off', async () => {
  const { backend, clock } = virtual();
  const id = await session(backend, 1000);
  await commit(backend, [put('a', id)]);
  const { state } = await blocked(backend, { key: 'a' });
  await clock.advance(900);
  await backend.renewSession(id, signal);
  await clock.advance(999);
  expect(state.result).toBeUndefined();
  await clock.advance(1);
  expect(state.result?.records).toEqual([]);
});

it('a lock-delay is told a second at a time, holds owned puts only, and its end wakes nobody', async () => {
  const { backend, store, clock } = virtual(race);
  const id = await session(backend, 10_000, 2500);
  const next = await session(backend, 60_000);
  await commit(backend, [put('a', id)]);
  store.destroySession(id);
  const { state } = await blocked(backend, { key: 'a' }, 10_000);
  const attempt = () => commit(backend, [put('a', next)]);
  expect(await attempt()).toEqual({ ok: false, why: 'delayed', retryAfter: 1000 });
  await clock.advance(2000);
  expect(await attempt()).toEqual({ ok: false, why: 'delayed', retryAfter: 500 });
  await clock.advance(500);
  expect(state.result).toBeUndefined();
  expect(await attempt()).toMatchObject({ ok: true });
  await settled();
  expect(state.result?.records).toHaveLength(1);
});

it('D1: keys whose lock-delay is over are forgotten, whether or not anybody asks for them again', async () => {
  const { backend, store, clock } = virtual(race);
  const [short, long] = [await session(backend, 60_000, 1_000), await session(backend, 60_000, 5_000)];
  for (let n = 0; n < 100; n++) await commit(backend, [put(`short/${n}`, short), put(`long/${n}`, long)]);
  store.destroySession(short);
  store.destroySession(long);
  expect(store.delayed).toBe(200);
  await clock.advance(999);
  expect(store.delayed).toBe(200);
  await clock.advance(1);
  expect(store.delayed).toBe(100);
  // Held back anew, and for longer than before.
  const next = await session(backend, 60_000, 10_000);
  await commit(backend, [put('short/1', next)]);
  store.destroySession(next);
  await clock.advance(4_000);
  expect(store.delayed).toBe(1);
  expect(await commit(backend, [put('short/1', await session(backend))])).toMatchObject({ why: 'delayed' });
  await clock.advance(6_000);
  expect(store.delayed).toBe(0);
});

it('a lock-delay does not hold back a plain put', async () => {
  const { backend, store } = virtual(race);
  const id = await session(backend, 10_000, 2500);
  await commit(backend, [put('a', id)]);
  store.destroySession(id);
  expect(await commit(backend, [put('a')])).toMatchObject({ ok: true });
});

it('a call that is aborted on its way rejects although it was carried out', async () => {
  const { backend, store } = virtual();
  const abort = new AbortController();
  const call = backend.commit({ when: [], then: [put('a')] }, abort.signal);
  abort.abort('too late');
  await expect(call).rejects.toBe('too late');
  expect(store.records()).toHaveLength(1);
});

it('a wipe ends sessions, restarts revisions, wakes who waits, and no cursor outlives it', async () => {
  const { backend, store } = virtual();
  const id = await session(backend);
  await commit(backend, [put('a', id)]);
  const { state, at } = await blocked(backend, { key: 'a' });
  store.wipe();
  await settled();
  expect(state.result?.records).toEqual([]);
  expect(await backend.renewSession(id, signal)).toBe('gone');
  expect(await commit(backend, [put('b')])).toEqual({ ok: true, revision: 1n });
  await backend.query({ key: 'a' }, { since: at, signal });
  expect(store.waiting).toBe(0);
  expect(await session(backend)).not.toBe(id);
});

it('nothing is left of a blocked query, however it ends', async () => {
  const { backend, store, clock } = virtual();
  await session(backend);
  const { at } = await backend.query({ key: 'a' }, { signal });
  const abort = new AbortController();
  const block = (client = backend) =>
    client.query({ key: 'a' }, { since: at, wait: 1000, signal: abort.signal });
  const left = () => [store.waiting, clock.pending, getEventListeners(abort.signal, 'abort').length];

  const waited = block();
  expect(left()).toEqual([1, 2, 1]);
  await clock.advance(1000);
  await waited;
  expect(left()).toEqual([0, 0, 0]);

  const stopping = memory({ store });
  const stopped = block(stopping);
  await stopping[Symbol.asyncDispose]();
  await expect(stopped).rejects.toMatchObject({ code: 'stopped' });
  expect(left()).toEqual([0, 0, 0]);

  const aborted = block();
  abort.abort('enough');
  await expect(aborted).rejects.toBe('enough');
  expect(left()).toEqual([0, 0, 0]);

  const woken = backend.query({ key: 'a' }, { since: at, signal });
  await commit(backend, [put('a')]);
  await woken;
  expect(left()).toEqual([0, 0, 0]);
});

it('a commit tells its own revision, even when whom it wakes finds a session expired', async () => {
  const { clock } = virtual();
  const sliding: Clock = {
    now: () => clock.now(),
    wall: () => clock.wall(),
    random: () => clock.random(),
    after: (ms, task) => clock.after(ms, task),
  };
  const store = new MemoryStore({ clock: sliding });
  const backend = memory({ store });
  const id = await session(backend, 1000);
  await commit(backend, [put('mine', id)]);
  const woken = backend.query({ key: 'a' }, { since: (await blocked(backend, { key: 'a' })).at, signal });
  // From the commit's own look at the clock to the next one a TTL goes by.
  let looks = 0;
  sliding.now = () => clock.now() + (++looks > 2 ? 1000 : 0);
  expect(await commit(backend, [put('a')])).toEqual({ ok: true, revision: 2n });
  await woken;
  expect(store.records().map(({ key }) => key)).toEqual(['a']);
});
