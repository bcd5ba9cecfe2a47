import { expect, test } from 'vitest';
import { Throttle } from '../../src/backends/consul/throttle.ts';
import { slowed } from '../busy.ts';

test('who gives up while it waits leaves no debt to the next one', async () => {
  // On a busy machine tokens would come back while the test is at it.
  const begun = performance.now();
  let stopped = true;
  const throttle = new Throttle(() => (stopped ? begun : performance.now()));
  const never = new AbortController().signal;
  for (let taken = 0; taken < Throttle.BURST; taken++) await throttle.take(never);
  for (let round = 0; round < 100; round++) {
    const controller = new AbortController();
    const waiting = throttle.take(controller.signal);
    controller.abort(new Error('gave up'));
    await expect(waiting).rejects.toThrow();
  }
  stopped = false;
  const start = performance.now();
  await throttle.take(never);
  // With their debt it would be 100 / RATE, more than 16 s.
  expect(performance.now() - start).toBeLessThan(slowed(2_000));
});
