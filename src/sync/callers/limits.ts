import type { Clock } from '../../async/clock.ts';
import { isError } from '../../async/realms.ts';
import { SettleOnce } from '../../async/settle-once.ts';
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

/** Resolves when this does, which never rejects; or when the caller's signal aborts or its time is over, counted from now. */
export function limited(
  clock: Clock,
  signal: AbortSignal | undefined,
  timeout: number | undefined,
  work: Promise<unknown>,
): Promise<unknown> {
  if (signal === undefined && timeout === undefined) return work;
  if (signal?.aborted) return Promise.resolve();
  const over = new SettleOnce<void>();
  const end = (): void => void over.resolve();
  if (timeout !== undefined) over.after(clock, timeout, end);
  if (signal !== undefined) over.finally(onAbort(signal, end));
  work.then(end, end);
  return over.promise;
}

export function timedOut({ aim, trouble }: Awaited, timeout: number): SyncError {
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
