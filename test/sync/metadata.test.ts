import { AsyncLocalStorage } from 'node:async_hooks';
import type { MemoryStore } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';
import { defaultMetadata } from '../../src/sync/callers/metadata.ts';
import { settle, setUp as setUpFaulty } from './faulty.ts';

const decoder = new TextDecoder();
const START = Date.UTC(2024, 11, 31, 23, 59, 58);

function setUp(start = START) {
  const clock = new VirtualClock({ wall: start });
  const encoded = defaultMetadata('svc "ü"', clock, 1_000);
  const since = (): number => {
    const read = JSON.parse(decoder.decode(encoded()));
    expect(read).toEqual({
      service: 'svc "ü"',
      host: expect.any(String),
      pid: process.pid,
      since: read.since,
    });
    expect(new Date(read.since).toISOString()).toBe(read.since);
    return Date.parse(read.since);
  };
  return { clock, encoded, since };
}

test('the default metadata tells the time to the millisecond, over seconds and years, forward and back', () => {
  const { clock, since } = setUp();
  let at = START;
  for (const step of [0, 7, 92, 1, 899, 1, 0.6, 0.6, 999, 1, 500, -250, -1_000, 86_400_000, -3]) {
    clock.jumpWall(step);
    at += step;
    expect(since()).toBe(Math.floor(at));
  }
});

test('what was given out before does not change', () => {
  const { clock, encoded } = setUp();
  const before = encoded();
  const text = decoder.decode(before);
  clock.jumpWall(5);
  expect(decoder.decode(encoded())).not.toBe(text);
  expect(decoder.decode(before)).toBe(text);
});

test('too large for the store is told', () => {
  const clock = new VirtualClock();
  const encoded = defaultMetadata('svc', clock, 10);
  expect(encoded).toThrow('this store takes at most 10');
  // Also the next time.
  expect(encoded).toThrow('this store takes at most 10');
});

describe('D1: a metadata function runs in the asynchronous context of who gave it', () => {
  const requests = new AsyncLocalStorage<string>();
  const whose = (): string => requests.getStore() ?? 'nobody';

  function written(store: MemoryStore): string[] {
    return store.records().map(({ value }) => decoder.decode(value));
  }

  test.each(['queue', 'race'] as const)('whoever causes it to be asked (%s)', async (contention) => {
    const { clock, store, make } = setUpFaulty(contention);
    const sync = make();
    const lock = requests.run('given', () => sync.lock('k', { metadata: whose }));
    await settle(
      clock,
      requests.run('another', () => lock.lock()),
    );
    expect(written(store)).toEqual(['"given"']);
    // Got back after a loss, which is nobody's request.
    const first = lock.grant;
    for (const { id } of store.sessions()) store.destroySession(id);
    await clock.runUntil(() => lock.held && lock.grant !== first);
    expect(written(store)).toEqual(['"given"']);
    await settle(clock, lock.release());
    await settle(clock, sync.stop());
  });

  test.each(['queue', 'race'] as const)(
    'of a scoped acquire, also in line behind others (%s)',
    async (contention) => {
      const { clock, store, make } = setUpFaulty(contention);
      const sync = make(undefined, { handOff: { limit: 0 } });
      const first = await settle(
        clock,
        requests.run('first', () => sync.acquire('k', { metadata: whose })),
      );
      expect(written(store)).toEqual(['"first"']);
      const second = requests.run('second', () => sync.acquire('k', { metadata: whose }));
      await settle(
        clock,
        requests.run('releasing', () => first.release()),
      );
      const grant = await settle(clock, second);
      expect(written(store)).toEqual(['"second"']);
      await settle(clock, grant.release());
      await settle(clock, sync.stop());
    },
  );

  test("that of a manager in that of a scoped acquire, and for a standing claim in the manager's own", async () => {
    const { clock, store, make } = setUpFaulty('queue');
    const sync = requests.run('service', () => make(undefined, { metadata: whose }));
    const grant = await settle(
      clock,
      requests.run('request', () => sync.acquire('a')),
    );
    expect(written(store)).toEqual(['"request"']);
    await settle(clock, grant.release());
    await settle(
      clock,
      requests.run('request', () => sync.lock('b').lock()),
    );
    expect(written(store)).toEqual(['"service"']);
    await settle(clock, sync.stop());
  });
});
