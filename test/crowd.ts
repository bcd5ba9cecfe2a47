import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';

/** What is asked for at most, however crowded the machine is. */
const MOST = 5;

/** How many want a processor at this moment, where the system tells. Whoever reads that is one of them. */
function running(): number {
  try {
    return Number(/ (\d+)\//.exec(readFileSync('/proc/loadavg', 'utf8'))?.[1] ?? 1) - 1;
  } catch {
    return 0;
  }
}

/**
 * How many share one processor of this machine, now or over the last minute; 1 on a quiet one. What takes a second of work, of
 * servers and of other processes too, takes so many then.
 */
export function crowd(): number {
  return crowdOf(Math.max(loadavg()[0] ?? 0, running()), availableParallelism());
}

export function crowdOf(wanting: number, processors: number): number {
  return Math.min(MOST, Math.max(1, wanting / processors));
}

/** For how many milliseconds to wait for what has to come. It only ends a test that fails. */
export function patience(ms: number): number {
  return ms * crowd();
}
