import { onAbort } from '../async/signal-listeners.ts';
import { type Clock, SyncError } from './backend.ts';

/** Cuts off work that nobody waits for any more. One for all: an error costs a stack trace, and this one tells nobody. */
export const OVER = new SyncError('stopped', 'nobody waits for it any more');

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

/**
 * Runs a call that must end within `ms` milliseconds, whatever its backend does with the signal it gets.
 * The engine waits for nothing without a bound: a hung call would hide a deadline.
 */
export async function bounded<T>(
  clock: Clock,
  ms: number,
  controller: AbortController,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal } = controller;
  throwIfAborted(signal);
  const timer = clock.after(ms, () =>
    controller.abort(new SyncError('unavailable', `no answer within ${Math.round(ms)} ms`)),
  );
  let unlisten: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    unlisten = onAbort(signal, () => reject(signal.reason));
  });
  try {
    return await Promise.race([call(signal), aborted]);
  } finally {
    timer.cancel();
    unlisten?.();
  }
}
