import type { Clock } from '../../async/clock.ts';
import { isError } from '../../async/realms.ts';
import { follow, onAbort } from '../../async/signal-listeners.ts';
import { SyncError } from '../../contract/errors.ts';
import type { CallOptions } from './call-options.ts';

/** What a caller waits for. */
export interface Awaited {
  /** What a timeout says that did not come, as a sentence. */
  readonly aim: string;
  /** What went wrong last on the way to it: most often why a timeout is reached. */
  readonly trouble: unknown;
}

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
   * @param onGiveUp told when the caller gave up by its signal or timeout.
   */
  constructor(clock: Clock, options: CallOptions, awaited: Awaited, onGiveUp: () => void) {
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
            giveUp(timedOut(awaited, timeout));
          });
    const unlisten = signal && onAbort(signal, () => giveUp(signal.reason));
    this.#cleanup = () => {
      timer?.cancel();
      unlisten?.();
    };
  }

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
}

/** Resolves when this does, which never rejects; or when the caller's signal aborts or its time is over, counted from now. */
export function limited(
  clock: Clock,
  signal: AbortSignal | undefined,
  timeout: number | undefined,
  work: Promise<unknown>,
): Promise<unknown> {
  if (signal === undefined && timeout === undefined) return work;
  if (signal?.aborted) return Promise.resolve();
  return new Promise<void>((resolve) => {
    const timer = timeout === undefined ? undefined : clock.after(timeout, () => done());
    const unlisten = signal && onAbort(signal, () => done());
    const done = (): void => {
      timer?.cancel();
      unlisten?.();
      resolve();
    };
    work.then(done, done);
  });
}

function timedOut({ aim, trouble }: Awaited, timeout: number): SyncError {
  const hint = isError(trouble) ? `; last trouble: ${trouble.message}` : '';
  return new SyncError('timeout', `${aim} within ${timeout} ms${hint}`, { cause: trouble });
}

/** The limits of a caller over several steps, as one signal. */
export class Limits {
  readonly #controller = new AbortController();
  readonly #cleanup: () => void;

  /** @param aim what a timeout says that did not come, as a sentence. */
  constructor(clock: Clock, { signal, timeout }: CallOptions, aim: string) {
    const controller = this.#controller;
    const unlisten = signal && follow(controller, signal);
    const timer =
      timeout === undefined
        ? undefined
        : clock.after(timeout, () => controller.abort(timedOut({ aim, trouble: undefined }, timeout)));
    this.#cleanup = () => {
      timer?.cancel();
      unlisten?.();
    };
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Neither listener nor timer is left. */
  end(): void {
    this.#cleanup();
  }
}
