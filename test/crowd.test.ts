import { expect, test } from 'vitest';
import { busy, slowed } from './busy.ts';
import { crowdOf, patience } from './crowd.ts';

test.each([
  [0, 2, 1],
  [2, 2, 1],
  [3, 2, 1.5],
  [8, 2, 4],
  [16, 2, 5],
  [8, 16, 1],
])('F2: %d that want %d processors make a crowd of %d', (wanting, processors, crowd) => {
  expect(crowdOf(wanting, processors)).toBe(crowd);
});

test('F2: what is allowed is never less than on a quiet machine, and bounded on a crowded one', () => {
  expect(patience(20_000)).toBeGreaterThanOrEqual(20_000);
  expect(patience(20_000)).toBeLessThanOrEqual(100_000);
  expect(slowed(1_000)).toBeGreaterThanOrEqual(1_150);
  expect(slowed(1_000)).toBeLessThanOrEqual(5_000 + busy());
});
