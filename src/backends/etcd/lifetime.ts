import { SyncError } from '../../sync/backend.ts';

/** Cuts off a request that nobody waits for any more. One for all: an error costs a stack trace, and this one tells nobody. */
export const OVER = new SyncError('stopped', 'nobody waits for it any more');

export interface Settle<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** Ends every call by its signal or by the disposal of the backend, and leaves no listener behind. */
export class Lifetime {
  readonly #ends = new Set<(error: unknown) => void>();
  #stopped = false;

  /** `start` may return what undoes it; that runs once, however the call ends. */
  run<T>(signal: AbortSignal, start: (settle: Settle<T>) => (() => void) | undefined): Promise<T> {
    if (this.#stopped) return Promise.reject(stopped());
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise<T>((resolve, reject) => {
      let over = false;
      let undo: (() => void) | undefined;
      const end = (settle: () => void) => {
        if (over) return;
        over = true;
        this.#ends.delete(fail);
        signal.removeEventListener('abort', abort);
        undo?.();
        settle();
      };
      const fail = (error: unknown) => end(() => reject(error));
      const abort = () => fail(signal.reason);
      this.#ends.add(fail);
      signal.addEventListener('abort', abort, { once: true });
      undo = start({ resolve: (value) => end(() => resolve(value)), reject: fail });
      if (over) undo?.();
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const end of this.#ends) end(stopped());
  }
}

export function stopped(): SyncError {
  return new SyncError('stopped', 'The etcd backend was disposed.');
}
