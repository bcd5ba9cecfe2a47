import { expect, test } from 'vitest';
import { loadLibrary } from './mutation/copy.ts';
import { describeOutcome } from './outcome.ts';
import { simulate } from './simulate.ts';
import type { System } from './system.ts';

/** Milliseconds. A minute on a quiet machine; beside other work it takes what it takes. */
const BOUND = 600_000;

/** What has to be seen of a system in the simulation: the tests of it, in a file of its own for each, so that they run side by side. */
export function runs(system: System): void {
  const { seeds } = system;

  test(
    `${seeds} seeds of harm: nothing is seen that may not be; then all is well again`,
    async () => {
      const library = await loadLibrary(system);
      let turns = 0;
      for (let seed = 1; seed <= seeds; seed++) {
        const outcome = await simulate(system, library, seed);
        expect(outcome.violations, describeOutcome(system, outcome)).toEqual([]);
        turns += outcome.turns;
      }
      // A simulation in which nothing happens would find nothing either.
      expect(turns).toBeGreaterThan(system.turns * seeds);
    },
    BOUND,
  );

  test('the same seed is the same run', async () => {
    const library = await loadLibrary(system);
    const [first, second] = [
      await simulate(system, library, 7, true),
      await simulate(system, library, 7, true),
    ];
    expect(first.trace.length).toBeGreaterThan(20);
    expect(second.trace).toEqual(first.trace);
  });
}
