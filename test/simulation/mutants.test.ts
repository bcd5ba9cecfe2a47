import { describe, expect, test } from 'vitest';
import { loadMutant } from './mutation/copy.ts';
import { firstCatch } from './simulate.ts';
import { systems } from './systems.ts';

/** Milliseconds. Some seconds on a quiet machine; beside other work it takes what it takes. */
const BOUND = 600_000;

const SEEDS = 2_000;

describe.each(systems)('known mistakes are caught: $name', (system) => {
  test.each(Object.entries(system.mutants))(
    '%s',
    async (_, patches) => {
      const caught = await firstCatch(system, await loadMutant(system, patches), SEEDS);
      expect(caught, `survived ${SEEDS} seeds`).toBeDefined();
    },
    BOUND,
  );
});
