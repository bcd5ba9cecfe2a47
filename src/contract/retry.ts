import { isSyncError, type SyncError } from './errors.ts';

/** Nobody is served by asking faster than this after the first failure, in milliseconds. */
const FIRST = 50;
const LONGEST = 1_000;

/**
 * Milliseconds to wait after the `failures`-th failure in a row: doubling, with full jitter in the upper half so
 * that many clients of a restarted server do not come back together.
 */
export function backoff(failures: number, random: number, longest = LONGEST): number {
  const ceiling = Math.min(longest, FIRST * 2 ** Math.min(failures, 16));
  return ceiling / 2 + (ceiling / 2) * random;
}

/** Whether it is certain that nothing of what was asked was done, and that nothing will be. */
export function wasRefused(error: unknown): boolean {
  return isSyncError(error) && error.outcome === 'refused';
}

/**
 * Whether asking again soon is pointless: callers are told instead of being kept waiting for their timeout. It says nothing
 * about what was done.
 */
export function isLasting(error: unknown): error is SyncError {
  return isSyncError(error) && error.code !== 'unavailable' && error.code !== 'bad-response';
}

/** Milliseconds to wait after what is lasting: at most one retry a second. */
export function afterLasting(random: number): number {
  return LONGEST + LONGEST * random;
}

/** Milliseconds to wait before the next try, whatever went wrong. */
export function retryDelay(error: unknown, failures: number, random: number): number {
  return isLasting(error) ? afterLasting(random) : backoff(failures, random);
}
