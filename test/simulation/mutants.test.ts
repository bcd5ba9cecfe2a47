import { describe, expect, test } from 'vitest';
import { mutants } from './locks/mutants.ts';
import { loadMutant } from './mutation/copy.ts';
import { simulate } from './simulate.ts';

/** Milliseconds. Some seconds on a quiet machine; beside other work it takes what it takes. */
const BOUND = 600_000;

const SEEDS = 2_000;

describe('known mistakes are caught', () => {
  test.each(Object.entries(mutants))(
    '%s',
    async (_, patches) => {
      const subject = await loadMutant(patches);
      let caught = false;
      for (let seed = 1; seed <= SEEDS && !caught; seed++) {
        caught = (await simulate(subject, seed)).violations.length > 0;
      }
      expect(caught, `survived ${SEEDS} seeds`).toBe(true);
    },
    BOUND,
  );
});
