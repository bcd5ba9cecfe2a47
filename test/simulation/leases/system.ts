import type { System } from '../system.ts';
import { mutants } from './mutants.ts';
import { LeaseWorkload } from './workload.ts';

export const leases: System = {
  name: 'leases',
  mutants,
  // The seeds that catch what is not among the first.
  caughtBy: { 'a removal is believed before it is seen': 274 },
  seeds: 200,
  turns: 10,
  modules: { leases: 'leases/index.ts' },
  begin: (world) => new LeaseWorkload(world),
};
