import { expect, test } from 'vitest';
import { simulate } from './simulate.ts';
import { describeOutcome, library } from './subject.ts';

/** Milliseconds. A minute on a quiet machine; beside other work it takes what it takes. */
const BOUND = 600_000;

/** More by `npm run test:simulation -- --seeds 100000`. */
const SEEDS = 2_000;

test(
  `${SEEDS} seeds of harm: never two holders, tokens rise, stale writes are refused; then all is well again`,
  async () => {
    let turns = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = await simulate(library, seed);
      expect(outcome.violations, describeOutcome(outcome)).toEqual([]);
      turns += outcome.turns;
    }
    // A simulation in which nothing happens would find nothing either.
    expect(turns).toBeGreaterThan(10 * SEEDS);
  },
  BOUND,
);

test('the same seed is the same run', async () => {
  const [first, second] = [await simulate(library, 7, true), await simulate(library, 7, true)];
  expect(first.trace.length).toBeGreaterThan(20);
  expect(second.trace).toEqual(first.trace);
});
