import { SyncError } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { type Fault, got, hang, isRemoval, settle, setUp, watch } from './faulty.ts';

const TTL = 10_000;

/** Removals do not get through, while all else does. */
function stuck(how: 'unavailable' | 'silent') {
  const line = { stuck: false };
  const fault: Fault = (request, pass) => {
    if (!line.stuck || !isRemoval(request)) return pass();
    if (how === 'silent') return hang(request.signal);
    return Promise.reject(new SyncError('unavailable', 'no leader'));
  };
  return { line, fault };
}

describe.each(['queue', 'race'] as const)('B3: giving back (%s)', (contention) => {
  test.each(['unavailable', 'silent'] as const)(
    'does not keep a caller for longer than its own limits, nor than a TTL, and goes on (removals %s)',
    async (how) => {
      const { clock, store, make } = setUp(contention);
      const { line, fault } = stuck(how);
      const sync = make(fault);
      let end = (): void => undefined;
      const working = new Promise<void>((resolve) => {
        end = resolve;
      });
      const controller = new AbortController();
      const calls = {
        timeout: watch(sync.withLock('a', () => working, { timeout: 200 })),
        signal: watch(sync.withLock('b', () => working, { signal: controller.signal })),
        neither: watch(sync.withLock('c', () => working)),
        grant: watch(sync.acquire('d')),
        lock: watch(sync.lock('e').lock()),
      };
      await clock.advance(10);
      const held = store.records().length;
      line.stuck = true;
      end();
      const grant = watch(got(calls.grant).release());
      const lock = watch(sync.lock('e').release());
      await clock.advance(199);
      expect([calls.timeout.done, calls.signal.done]).toEqual([false, false]);
      await clock.advance(2);
      expect(calls.timeout).toMatchObject({ done: true, code: undefined });
      controller.abort(new Error('enough'));
      await clock.advance(0);
      // The work was done: nothing is made of it.
      expect(calls.signal).toMatchObject({ done: true, code: undefined });
      expect([calls.neither, grant, lock].map(({ done }) => done)).toEqual([false, false, false]);
      await clock.advance(TTL);
      expect([calls.neither, grant, lock].map(({ done }) => done)).toEqual([true, true, true]);
      expect(store.records()).toHaveLength(held);
      if (how === 'unavailable') {
        line.stuck = false;
        await clock.advance(2_000);
        expect(store.records()).toEqual([]);
      }
      const stopped = settle(clock, sync.stop({ timeout: 1_000 }));
      await stopped;
    },
  );

  test.each(['unavailable', 'silent'] as const)(
    'a try whose answer is there does not wait for what fails to be removed (removals %s)',
    async (how) => {
      const { clock, make } = setUp(contention);
      const { line, fault } = stuck(how);
      const sync = make(fault);
      watch(make().acquire('k'));
      await clock.advance(10);
      line.stuck = true;
      const bounded = watch(sync.tryAcquire('k', { timeout: 100 }));
      await clock.advance(101);
      expect(bounded).toMatchObject({ done: true, value: undefined, code: undefined });
      const aborted = new AbortController();
      const given = watch(sync.tryAcquire('k', { signal: aborted.signal }));
      await clock.advance(1);
      aborted.abort(new Error('gave up'));
      await clock.advance(1);
      expect(given).toMatchObject({ done: true });
      if (how === 'unavailable') {
        const free = watch(sync.tryAcquire('k'));
        await clock.advance(1);
        expect(free).toMatchObject({ done: true, value: undefined, code: undefined });
      }
      await settle(clock, sync.stop({ timeout: 1_000 }));
    },
  );
});
