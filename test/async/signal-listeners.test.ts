import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { onAbort } from '../../src/async/signal-listeners.ts';

const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

test('D2: a signal has one listener, however many listen, and none when nobody does', () => {
  const { signal } = new AbortController();
  const ends = Array.from({ length: 1_000 }, () => onAbort(signal, () => {}));
  expect(listenersOf(signal)).toBe(1);
  for (const end of ends.slice(1)) end();
  expect(listenersOf(signal)).toBe(1);
  ends[0]?.();
  expect(listenersOf(signal)).toBe(0);
  // It may serve again.
  onAbort(signal, () => {})();
  expect(listenersOf(signal)).toBe(0);
});

test('each is told once, in order, unless it has ended, by itself or by one before it', () => {
  const controller = new AbortController();
  const { signal } = controller;
  const told: string[] = [];
  const tell = (): void => void told.push('same');
  onAbort(signal, () => {
    told.push('first');
    endThird();
    onAbort(signal, () => told.push('too late'));
  });
  const endSecond = onAbort(signal, () => told.push('second'));
  const endThird = onAbort(signal, () => told.push('third'));
  onAbort(signal, tell);
  onAbort(signal, tell);
  endSecond();
  endSecond();
  controller.abort();
  expect(told).toEqual(['first', 'same', 'same']);
  expect(listenersOf(signal)).toBe(0);
  onAbort(signal, () => told.push('too late'))();
  expect(told).toHaveLength(3);
});
