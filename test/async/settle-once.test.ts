import { expect, test } from 'vitest';
import { systemClock } from '../../src/async/clock.ts';
import { SettleOnce } from '../../src/async/settle-once.ts';

test('the first one settles it, and what was begun for it is undone before anybody is told', async () => {
  const undone: string[] = [];
  const once = new SettleOnce<string>().finally(() => undone.push('a')).finally(() => undone.push('b'));
  const told = once.promise.then((value) => undone.push(value));
  expect(once.settled).toBe(false);
  expect(once.resolve('answer')).toBe(true);
  expect(once.settled).toBe(true);
  expect(undone).toEqual(['a', 'b']);
  expect(once.resolve('again')).toBe(false);
  expect(once.reject(new Error('late'))).toBe(false);
  await told;
  expect(undone).toEqual(['a', 'b', 'answer']);
  once.finally(() => undone.push('late'));
  expect(undone.at(-1)).toBe('late');
});

test('a signal ends it with its own reason, also one that has aborted before', async () => {
  const controller = new AbortController();
  const once = new SettleOnce<void>().follow(controller.signal).follow(undefined);
  controller.abort('enough');
  await expect(once.promise).rejects.toBe('enough');
  await expect(new SettleOnce<void>().follow(controller.signal).promise).rejects.toBe('enough');
});

test('nothing is left of it: neither a timer nor a listener', async () => {
  const timers = new Set<object>();
  const clock = {
    after(ms: number, task: () => void) {
      const timer = systemClock.after(ms, task);
      const counted = {
        cancel: () => {
          timers.delete(counted);
          timer.cancel();
        },
      };
      timers.add(counted);
      return counted;
    },
  };
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...of: Parameters<typeof addEventListener>) => {
    listeners += 1;
    return addEventListener.apply(signal, of);
  };
  signal.removeEventListener = (...of: Parameters<typeof removeEventListener>) => {
    listeners -= 1;
    return removeEventListener.apply(signal, of);
  };
  const once = new SettleOnce<number>().follow(signal).after(clock, 60_000, () => once.reject('late'));
  expect([timers.size, listeners]).toEqual([1, 1]);
  once.resolve(1);
  expect([timers.size, listeners]).toEqual([0, 0]);
  once.after(clock, 1, () => undefined).follow(signal);
  expect([timers.size, listeners]).toEqual([0, 0]);
  await expect(once.promise).resolves.toBe(1);
});

test('time ends it', async () => {
  const once = new SettleOnce<void>().after(systemClock, 1, () => once.reject('late'));
  await expect(once.promise).rejects.toBe('late');
});
