import type { SyncManager } from 'holdfast';
import { expect, test } from 'vitest';
import { isOwnedPut, setUp, watch } from './faulty.ts';

test.each(['queue', 'race'] as const)(
  'FAULTS 36: metadata that gives up its own acquire leaves nothing behind (%s)',
  async (contention) => {
    const { clock, store, make, pause } = setUp(contention);
    const sync = make(async (request, pass) => {
      if (isOwnedPut(request)) await pause(20);
      return await pass();
    });
    watch(sync.acquire('warm'));
    await clock.advance(50);
    const controller = new AbortController();
    let asked = 0;
    const metadata = () => {
      // The first time is a check before any I/O.
      if (++asked === 2) controller.abort(new Error('gave up'));
      return 'x';
    };
    const call = watch(sync.acquire('k', { signal: controller.signal, metadata }));
    await clock.advance(1_000);
    expect(call.done).toBe(true);
    expect(store.records().map(({ key }) => key)).toEqual([
      contention === 'queue' ? expect.stringMatching(/^warm\//) : 'warm',
    ]);
  },
);

test('FAULTS 36: a subscriber of events$ that always fails is told once for each event, not for ever', async () => {
  const { clock, make } = setUp('queue');
  const sync: SyncManager = make();
  let calls = 0;
  sync.events$.subscribe(() => {
    if (++calls > 100) return;
    throw new Error('always');
  });
  watch(sync.acquire('k'));
  await clock.advance(100);
  expect(calls).toBeLessThan(10);
});
