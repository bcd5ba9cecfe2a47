import type { Clock } from './clock.ts';
import { onAbort } from './signal-listeners.ts';

/** What an abort rejects with: the signal's reason, never something made up. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}

/** Resolves after `ms` milliseconds; rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = clock.after(ms, () => {
      unlisten();
      resolve();
    });
    const unlisten = onAbort(signal, () => {
      timer.cancel();
      reject(signal.reason);
    });
  });
}
