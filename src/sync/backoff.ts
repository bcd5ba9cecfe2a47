import { isSyncError, type SyncError } from './backend.ts';

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

/**
 * Whether the server understood and said no. Asking again soon changes nothing, and callers are told instead of being
 * kept waiting for their timeout.
 */
export function isRefusal(error: unknown): error is SyncError {
  return isSyncError(error) && error.code !== 'unavailable' && error.code !== 'bad-response';
}

/** Milliseconds to wait after a refusal: at most one retry a second. */
export function afterRefusal(random: number): number {
  return LONGEST + LONGEST * random;
}

/** Milliseconds to wait before the next try, whatever went wrong. */
export function retryDelay(error: unknown, failures: number, random: number): number {
  return isRefusal(error) ? afterRefusal(random) : backoff(failures, random);
}
