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
    async (name, patches) => {
      const mutant = await loadMutant(system, patches);
      const known = system.caughtBy?.[name];
      const again = known === undefined ? undefined : await firstCatch(system, mutant, 1, known);
      const caught = again ?? (await firstCatch(system, mutant, SEEDS));
      if (known !== undefined && again === undefined)
        console.info(`${name}: not by ${known} any more, ${caught?.seed}`);
      expect(caught, `survived ${SEEDS} seeds`).toBeDefined();
    },
    BOUND,
  );
});
