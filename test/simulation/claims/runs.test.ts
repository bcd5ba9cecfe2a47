import { runs } from '../runs.ts';
import { claims } from './system.ts';

runs(claims);
