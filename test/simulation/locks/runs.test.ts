import { runs } from '../runs.ts';
import { locks } from './system.ts';

runs(locks);
