import { onAbort } from '../async/signal-listeners.ts';
import { throwIfAborted } from './abort.ts';
import type { Controllers } from './controllers.ts';

/**
 * Runs a call to the backend with a signal of its own, which aborts with the caller's. A caller may give one signal to
 * thousands of calls, and to listen to it once more costs Node a walk over all who do.
 */
export async function withOwnSignal<T>(
  controllers: Controllers,
  given: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  throwIfAborted(given);
  const controller = controllers.take();
  const { signal } = controller;
  const unlisten = given && onAbort(given, () => controller.abort(given.reason));
  try {
    return await call(signal);
  } finally {
    unlisten?.();
    if (!signal.aborted) controllers.giveBack(controller);
  }
}
