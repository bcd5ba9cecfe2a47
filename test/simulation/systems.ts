import { claims } from './claims/system.ts';
import { counter } from './counter/system.ts';
import { leases } from './leases/system.ts';
import { locks } from './locks/system.ts';
import { runOnce } from './run-once/system.ts';
import type { System } from './system.ts';

/** All that runs in the simulation. */
export const systems: readonly System[] = [locks, runOnce, claims, counter, leases];
