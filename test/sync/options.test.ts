import { getEventListeners } from 'node:events';
import {
  leadershipLock,
  lockWithKey,
  SyncManager,
  type SyncManagerOptions,
  setCurrentSyncManager,
} from 'holdfast';
import { memory } from 'holdfast/memory';
import { describe, expect, test } from 'vitest';
import { keyProblem } from '../../src/contract/keys.ts';

const make = (options: object) => () =>
  new SyncManager({ name: 'svc', backend: memory(), ...options } as SyncManagerOptions);

const refused: Record<string, [options: object, says: string]> = {
  'no name': [{ name: undefined }, '"name"'],
  'an empty name': [{ name: '' }, '"name" must not be empty'],
  'a name with a slash': [{ name: 'a/b' }, '"name" must not have a slash'],
  'no backend': [{ backend: undefined }, '"backend" must be a backend'],
  'something else for a backend': [{ backend: {} }, '"backend" must be a backend'],
  'a session that is no object': [{ session: 3 }, '"session" must be an object'],
  'a TTL that is text': [{ session: { ttl: '10s' } }, '"session.ttl" is 10s'],
  'a TTL above the limit': [
    { session: { ttl: 1e12 } },
    '"session.ttl" is 1000000000000 ms, but memory takes 10 to',
  ],
  'a negative lock-delay': [{ session: { lockDelay: -1 } }, '"session.lockDelay" is -1'],
  'a lock-delay above the limit': [
    { backend: memory({ contention: 'race' }), session: { lockDelay: 60_001 } },
    '"session.lockDelay" is 60001 ms, but memory takes at most 60000 ms',
  ],
  'a margin as long as the TTL': [{ session: { ttl: 1_000, margin: 1_000 } }, '"session.margin" is 1000 ms'],
  'a renewal after the deadline': [
    { session: { ttl: 1_000, margin: 300, renewInterval: 700 } },
    '"session.renewInterval" is 700 ms; it must be below the 700 ms',
  ],
  'a hand-off that is no object': [{ handOff: 5 }, '"handOff" must be an object'],
  'a hand-off limit that is no whole number': [{ handOff: { limit: 1.5 } }, '"handOff.limit" is 1.5'],
  'more hand-offs than a token can count': [
    { handOff: { limit: 65_536 } },
    '"handOff.limit" is 65536; it must be a whole number from 0 to 65535',
  ],
  'hand-offs within no time': [{ handOff: { within: 0 } }, '"handOff.within" is 0'],
};

describe('options', () => {
  for (const [name, [options, says]] of Object.entries(refused)) {
    test(`${name} is refused by name`, () => {
      expect(make(options)).toThrow(
        expect.objectContaining({ code: 'invalid-option', message: expect.stringContaining(says) }),
      );
    });
  }

  test('a backend belongs to one manager', async () => {
    const backend = memory();
    await using _ = make({ backend })();
    expect(make({ backend })).toThrow(/belongs to another manager/);
  });

  test('call options are refused by name', async () => {
    await using sync = make({})();
    for (const timeout of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5' as never]) {
      await expect(sync.acquire('k', { timeout })).rejects.toThrow('option "timeout"');
      await expect(sync.lock('k').lock({ timeout })).rejects.toThrow('option "timeout"');
    }
    await expect(sync.acquire('k', { signal: {} as never })).rejects.toThrow('option "signal"');
  });

  test('one signal may be given to any number of calls, and keeps no listener', async () => {
    const warnings: unknown[] = [];
    const onWarning = (warning: unknown) => warnings.push(warning);
    process.on('warning', onWarning);
    await using sync = make({})();
    const { signal } = new AbortController();
    const held = await sync.acquire('k', { signal });
    const calls = Array.from({ length: 50 }, () => sync.withLock('k', () => {}, { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await held.release();
    await Promise.all(calls);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });

  test('commits are checked before any I/O', async () => {
    await using sync = make({})();
    await expect(sync.commit({ then: [{ put: 'a//b', value: '' }] })).rejects.toThrow(
      'key "a//b" has an empty segment',
    );
    await expect(sync.commit({ then: [{ remove: '' }] })).rejects.toMatchObject({ code: 'invalid-key' });
    await expect(sync.commit({ when: [{ key: '..', is: 'absent' }] })).rejects.toMatchObject({
      code: 'invalid-key',
    });
    await expect(sync.commit({ then: [{ put: 'k', value: 3 as never }] })).rejects.toThrow(
      'the value of "k" must be',
    );
    const large = new Uint8Array(512 * 1024 + 1);
    await expect(sync.commit({ then: [{ put: 'k', value: large }] })).rejects.toMatchObject({
      code: 'value-too-large',
    });
  });
});

describe('keys', () => {
  test.each([
    ['', 'must not be empty'],
    ['/', 'empty segment'],
    ['/a', 'empty segment'],
    ['a/', 'empty segment'],
    ['a//b', 'empty segment'],
    ['..', 'the segment ".."'],
    ['a/./b', 'the segment "."'],
    ['a\0', 'U+0000'],
    ['a\n', 'U+000a'],
    ['a\u007f', 'U+007f'],
    ['\udc00', 'lone surrogate'],
    ['é'.repeat(513), '1026 bytes'],
    [42, 'must be a string, not number'],
    [null, 'must be a string, not null'],
  ])('%j is refused', (key, says) => {
    expect(keyProblem(key)).toContain(says);
  });

  test.each(['a', '%2e%2e', 'a?b', 'a#b', '...', '.a', '🔒/ä', 'x'.repeat(1_024)])('%j is fine', (key) => {
    expect(keyProblem(key)).toBeUndefined();
  });
});

describe('the current manager', () => {
  test('is asked for before it is there: a clear error', () => {
    const clear = expect.objectContaining({
      code: 'no-current-manager',
      message: expect.stringContaining('setCurrentSyncManager'),
    });
    expect(() => leadershipLock()).toThrow(clear);
    expect(() => lockWithKey('k')).toThrow(clear);
  });

  test('gives leadershipLock() and lockWithKey()', async () => {
    await using sync = make({ name: 'billing' })();
    expect(setCurrentSyncManager(sync)).toBeUndefined();
    expect(leadershipLock()).toBe(sync.lock('service/billing/leadership'));
    expect(lockWithKey('reports/daily')).toBe(sync.lock('reports/daily'));
    expect(await leadershipLock().tryLock()).toBeDefined();
    expect(setCurrentSyncManager(undefined)).toBe(sync);
  });
});
