import { runs } from '../runs.ts';
import { leases } from './system.ts';

runs(leases);
