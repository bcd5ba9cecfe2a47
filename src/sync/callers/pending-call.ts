import type { Clock } from '../../async/clock.ts';
import { SettleOnce } from '../../async/settle-once.ts';
import { onAbort } from '../../async/signal-listeners.ts';
import type { CallOptions } from './call-options.ts';
import { type Awaited, timedOut } from './limits.ts';

/** One caller that waits: for the engine, until its signal aborts or its time is over. */
export class PendingCall<T> extends SettleOnce<T> {
  /**
   * The signal must not be aborted yet.
   *
   * @param onGiveUp told when the caller gave up by its signal or timeout.
   */
  constructor(clock: Clock, { signal, timeout }: CallOptions, awaited: Awaited, onGiveUp?: () => void) {
    super();
    const giveUp = (reason: unknown): void => {
      if (this.reject(reason)) onGiveUp?.();
    };
    if (timeout !== undefined) this.after(clock, timeout, () => giveUp(timedOut(awaited, timeout)));
    if (signal !== undefined) this.finally(onAbort(signal, () => giveUp(signal.reason)));
  }
}
