import type { Clock } from '../../async/clock.ts';
import { onAbort } from '../../async/signal-listeners.ts';
import { throwIfAborted } from '../../async/sleep.ts';
import { SyncError } from '../../contract/errors.ts';

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
