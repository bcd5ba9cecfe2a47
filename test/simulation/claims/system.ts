import type { System } from '../system.ts';
import { caughtBy, mutants } from './mutants.ts';
import { ClaimWorkload } from './workload.ts';

export const claims: System = {
  name: 'claims',
  mutants,
  caughtBy,
  seeds: 500,
  turns: 25,
  harm: 3_000,
  begin: (world) => new ClaimWorkload(world),
};
