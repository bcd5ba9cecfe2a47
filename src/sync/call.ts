import { onAbort } from '../async/signal-listeners.ts';
import { type Clock, SyncError } from './backend.ts';
import type { CallOptions } from './options.ts';
import { quoteKey } from './quote.ts';

/**
 * One caller that waits. Settles once, by whatever comes first: the engine, the caller's signal, or its timeout;
 * and then neither listener nor timer is left.
 */
export class Call<T> {
  readonly promise: Promise<T>;
  #resolve!: (value: T) => void;
  #reject!: (reason: unknown) => void;
  #settled = false;
  #cleanup: (() => void) | undefined;

  /**
   * The signal must not be aborted yet.
   *
   * @param key of the lock it waits for.
   * @param onGiveUp told when the caller gave up by its signal or timeout.
   */
  constructor(clock: Clock, options: CallOptions, key: string, onGiveUp: () => void) {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const { signal, timeout } = options;
    if (signal === undefined && timeout === undefined) return;
    const giveUp = (reason: unknown): void => {
      if (this.reject(reason)) onGiveUp();
    };
    const timer =
      timeout === undefined
        ? undefined
        : clock.after(timeout, () => {
            giveUp(this.#timeout(key, timeout));
          });
    const unlisten = signal && onAbort(signal, () => giveUp(signal.reason));
    this.#cleanup = () => {
      timer?.cancel();
      unlisten?.();
    };
  }

  /** The last trouble on the way: most often why a timeout was reached. */
  trouble: unknown;

  resolve(value: T): boolean {
    if (!this.#settle()) return false;
    this.#resolve(value);
    return true;
  }

  reject(reason: unknown): boolean {
    if (!this.#settle()) return false;
    this.#reject(reason);
    return true;
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#cleanup?.();
    this.#cleanup = undefined;
    return true;
  }

  #timeout(key: string, timeout: number): SyncError {
    const { trouble } = this;
    const hint = trouble instanceof Error ? `; last trouble: ${trouble.message}` : '';
    return new SyncError(
      'timeout',
      `the lock ${quoteKey(key)} was not acquired within ${timeout} ms${hint}`,
      {
        cause: trouble,
      },
    );
  }
}
