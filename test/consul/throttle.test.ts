import { afterEach, expect, test, vi } from 'vitest';
import { Throttle } from '../../src/backends/consul/throttle.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

test('who gives up while it waits leaves no debt to the next one', async () => {
  // On a busy machine tokens would come back while the test is at it.
  const begun = performance.now();
  const clock = vi.spyOn(performance, 'now').mockReturnValue(begun);
  const throttle = new Throttle();
  const never = new AbortController().signal;
  for (let taken = 0; taken < Throttle.BURST; taken++) await throttle.take(never);
  for (let round = 0; round < 100; round++) {
    const controller = new AbortController();
    const waiting = throttle.take(controller.signal);
    controller.abort(new Error('gave up'));
    await expect(waiting).rejects.toThrow();
  }
  clock.mockRestore();
  const start = performance.now();
  await throttle.take(never);
  // With their debt it would be 100 / RATE, more than 16 s.
  expect(performance.now() - start).toBeLessThan(2_000);
});
