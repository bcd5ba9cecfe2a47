import type { Clock } from './clock.ts';
import { SettleOnce } from './settle-once.ts';

/** What an abort rejects with: the signal's reason, never something made up. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}

/** Resolves after `ms` milliseconds; rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const over = new SettleOnce<void>().follow(signal);
  return over.after(clock, ms, () => over.resolve()).promise;
}
