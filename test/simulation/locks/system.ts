import type { System } from '../system.ts';
import { caughtBy, mutants } from './mutants.ts';
import { LockWorkload } from './workload.ts';

export const locks: System = {
  name: 'locks',
  mutants,
  caughtBy,
  seeds: 2_000,
  turns: 10,
  begin: (world) => new LockWorkload(world),
};
