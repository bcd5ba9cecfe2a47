import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { blocked, commit, put, session, settled, signal, virtual } from './helpers.ts';

const MANY = 2000;

it('any number may wait with one signal, which gets one listener', async () => {
  const { backend } = virtual();
  const abort = new AbortController();
  const { at } = await backend.query({ key: 'a' }, { signal });
  const wait = () => backend.query({ key: 'a' }, { since: at, signal: abort.signal });
  const waits = Array.from({ length: MANY }, wait);
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1);
  abort.abort('enough');
  const settled = await Promise.allSettled(waits);
  expect(settled.every((each) => each.status === 'rejected' && each.reason === 'enough')).toBe(true);
  expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
});

it('when one of many keys changes only those who wait for it wake', async () => {
  const { backend, store } = virtual();
  const keys = Array.from({ length: MANY }, (_, i) => `a/${i}`);
  const waits = await Promise.all(keys.map((key) => blocked(backend, { key })));
  await commit(backend, [put('a/7')]);
  await settled();
  expect(waits.flatMap(({ state }, i) => (state.result ? [i] : []))).toEqual([7]);
  expect(store.waiting).toBe(MANY - 1);
  await backend[Symbol.asyncDispose]();
  expect(store.waiting).toBe(0);
});

it('when the head of a queue goes only its successor wakes', async () => {
  const { backend } = virtual();
  const owner = await session(backend);
  const waits: Awaited<ReturnType<typeof blocked>>[] = [];
  for (let i = 0; i < 200; i++) {
    const result = await commit(backend, [put(`q/${i}`, owner)]);
    if (!result.ok) throw new Error('not applied');
    waits.push(await blocked(backend, { prefix: 'q/', youngest: 1, before: result.revision }));
  }
  const observer = await blocked(backend, { prefix: 'q/', oldest: 1 });
  await commit(backend, [put('q/newcomer', owner)]);
  await commit(backend, [{ remove: 'q/100' }]);
  await settled();
  const woken = () => waits.flatMap(({ state }, i) => (state.result ? [i] : []));
  expect(woken()).toEqual([101]);
  expect(observer.state.result).toBeUndefined();
  await commit(backend, [{ remove: 'q/0' }]);
  await settled();
  expect(woken()).toEqual([1, 101]);
  expect(observer.state.result?.records[0]?.key).toBe('q/1');
});

it('a cursor is outdated by what its view shows, not by what happens beside it', async () => {
  const { backend, store } = virtual();
  for (const name of ['a', 'b', 'c', 'd']) await commit(backend, [put(`q/${name}`)]);
  const scopes = [
    { key: 'q/b' },
    { prefix: 'q/', oldest: 2 },
    { prefix: 'q/', youngest: 1, before: 3n },
    { prefix: 'r/' },
  ];
  for (const scope of scopes) {
    const { at } = await backend.query(scope, { signal });
    await commit(backend, [put('q/d'), put('q/new'), put('r')]);
    await commit(backend, [{ remove: 'q/new' }]);
    void backend.query(scope, { since: at, signal }).catch(() => {});
  }
  await settled();
  expect(store.waiting).toBe(scopes.length);

  const cursors = await Promise.all(scopes.map((scope) => backend.query(scope, { signal })));
  await commit(backend, [{ remove: 'q/b' }, put('r/x')]);
  await Promise.all(scopes.map((scope, i) => backend.query(scope, { since: cursors[i]?.at ?? '', signal })));
  await backend[Symbol.asyncDispose]();
});

it('a bound beyond the present waits for those who will be created before it', async () => {
  const { backend } = virtual();
  const { state } = await blocked(backend, { prefix: 'q/', youngest: 1, before: 100n });
  await commit(backend, [put('q/a')]);
  await settled();
  expect(state.result?.records).toHaveLength(1);
});

it('a cursor older than what is remembered, or not of this store, is a wake', async () => {
  const { backend, store } = virtual();
  const { at } = await backend.query({ key: 'a' }, { signal });
  for (let i = 0; i < 10_000; i++) store.commit({ when: [], then: [put('b')] });
  for (const since of [at, '', 'x', '7', '0.99999999', '1.1']) {
    await backend.query({ key: 'a' }, { since, signal });
  }
  expect(store.waiting).toBe(0);
});
