import type { System } from '../system.ts';
import { caughtBy, mutants } from './mutants.ts';
import { RunOnceWorkload } from './workload.ts';

export const runOnce: System = {
  name: 'run-once',
  mutants,
  caughtBy,
  seeds: 500,
  turns: 5,
  harm: 8_000,
  // `atLeast` is more than replicas differ by.
  wallLead: 100,
  begin: (world) => new RunOnceWorkload(world),
};
