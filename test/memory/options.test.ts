import { type MemoryOptions, MemoryStore, memory } from 'holdfast/memory';
import { expect, it } from 'vitest';
import { isSyncError } from '../../src/contract/errors.ts';
import { commit, put, session, signal, virtual } from './helpers.ts';

const bad: ReadonlyArray<[string, Record<string, unknown>]> = [
  ['contention', { contention: 'herd' }],
  ['clock', { clock: {} }],
  ['clock', { clock: null }],
  ['expiry', { expiry: 0.5 }],
  ['expiry', { expiry: Number.NaN }],
  ['expiry', { expiry: Number.POSITIVE_INFINITY }],
  ['maxValueBytes', { maxValueBytes: 0 }],
  ['maxValueBytes', { maxValueBytes: 1.5 }],
  ['store', { store: {} }],
  ['contention', { store: new MemoryStore(), contention: 'race' }],
];

it.each(bad)('a bad `%s` is refused by name: %o', (name, options) => {
  const make = () => memory(options as MemoryOptions);
  expect(make).toThrow(`memory option "${name}" `);
  expect(make).toThrow(expect.objectContaining({ code: 'invalid-option' }));
});

it('each call without a store makes its own', async () => {
  const [one, other] = [memory(), memory()];
  await commit(one, [put('a')]);
  expect((await other.query({ key: 'a' }, { signal })).records).toEqual([]);
});

it('backends of one store share it', async () => {
  const store = new MemoryStore();
  await commit(memory({ store }), [put('a')]);
  expect((await memory({ store }).query({ key: 'a' }, { signal })).records).toHaveLength(1);
});

it('traits say what the store does', () => {
  expect(virtual({ contention: 'race' }).backend.traits).toEqual({
    name: 'memory',
    contention: 'race',
    ttl: { min: 10, max: 86_400_000 },
    maxLockDelay: 60_000,
    maxValueBytes: 524_288,
    maxOperations: 62,
    fencing: 'advisory',
    wakes: 'pushed',
  });
  expect(virtual({ maxValueBytes: 7 }).backend.traits).toMatchObject({
    contention: 'queue',
    maxLockDelay: 0,
    maxValueBytes: 7,
    maxOperations: 128,
  });
});

it.each([0, -1, 9, Number.NaN, Number.POSITIVE_INFINITY, 86_400_001])(
  'a TTL of %d is refused',
  async (ttl) => {
    const { backend, store } = virtual();
    const opened = backend.openSession({ name: 'test', ttl, lockDelay: 0 }, signal);
    await expect(opened).rejects.toSatisfy((error) => isSyncError(error, 'invalid-option'));
    expect(store.sessions()).toEqual([]);
  },
);

it.each([-1, Number.NaN, 60_001])(
  'a lock-delay of %d is refused in a race, ignored in a queue',
  async (delay) => {
    const refused = session(virtual({ contention: 'race' }).backend, 1000, delay);
    await expect(refused).rejects.toSatisfy((error) => isSyncError(error, 'invalid-option'));
    await session(virtual().backend, 1000, delay);
  },
);

it('two mutations for one key, a bad `oldest` and a bad `wait` are refused', async () => {
  const { backend } = virtual();
  for (const refused of [
    commit(backend, [put('a'), { remove: 'a' }]),
    backend.query({ prefix: 'a/', oldest: 0 }, { signal }),
    backend.query({ key: 'a' }, { signal, since: '0.0', wait: Number.NaN }),
    backend.query({ key: 'a' }, { signal, since: '0.0', wait: -1 }),
  ]) {
    await expect(refused).rejects.toSatisfy((error) => isSyncError(error, 'invalid-option'));
  }
  await expect(backend.query({ prefix: '' }, { signal })).rejects.toMatchObject({ code: 'invalid-key' });
});

it('a queue keeps the segment of its contenders to itself', () => {
  const { backend } = virtual();
  expect(backend.lockPath('a/b')).toBe('a/b/.lock/');
  for (const key of ['.lock', 'a/.lock', 'a/.lock/b', '.lock/a']) {
    expect(() => backend.lockPath(key)).toThrow(expect.objectContaining({ code: 'invalid-key' }));
  }
  expect(backend.lockPath('a/.locked')).toBe('a/.locked/.lock/');
  expect(virtual({ contention: 'race' }).backend.lockPath('a/.lock')).toBe('a/.lock');
});
