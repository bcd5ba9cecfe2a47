import { runs } from '../runs.ts';
import { counter } from './system.ts';

runs(counter);
