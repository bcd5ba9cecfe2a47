import { runs } from '../runs.ts';
import { runOnce } from './system.ts';

runs(runOnce);
