import type { System } from '../system.ts';
import { mutants } from './mutants.ts';
import { LeaseWorkload } from './workload.ts';

export const leases: System = {
  name: 'leases',
  mutants,
  seeds: 500,
  turns: 10,
  modules: { leases: 'leases/index.ts' },
  begin: (world) => new LeaseWorkload(world),
};
