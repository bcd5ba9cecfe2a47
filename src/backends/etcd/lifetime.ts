import { onAbort } from '../../async/signal-listeners.ts';
import { type RequestOutcome, SyncError } from '../../contract/errors.ts';

/** Cuts off a request that nobody waits for any more. One for all: an error costs a stack trace, and this one tells nobody. */
export const OVER = new SyncError('stopped', 'nobody waits for it any more');

export interface Settle<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** What somebody waits for: until it is settled, by whatever comes first. */
export class Pending<T> implements Settle<T> {
  readonly promise: Promise<T>;
  readonly signal: AbortSignal;
  /** Runs once, however it ends. */
  undo: (() => void) | undefined;
  over = false;
  #lifetime: Lifetime | undefined;
  #unlisten: (() => void) | undefined;
  #resolve: ((value: T) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;

  constructor(signal: AbortSignal) {
    this.signal = signal;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** From now on its signal ends it, and the disposal of the backend. */
  attach(lifetime: Lifetime): void {
    if (this.over || this.#lifetime !== undefined || !lifetime.add(this)) return;
    this.#lifetime = lifetime;
    if (!this.givenUp()) this.#unlisten = onAbort(this.signal, () => this.reject(this.signal.reason));
  }

  /** Asks its signal, to which nobody may be listening. */
  givenUp(): boolean {
    if (this.signal.aborted) this.reject(this.signal.reason);
    return this.over;
  }

  resolve(value: T): void {
    if (this.#end()) this.#resolve?.(value);
  }

  reject(error: unknown): void {
    if (this.#end()) this.#reject?.(error);
  }

  /** `false` if it has ended before. */
  #end(): boolean {
    if (this.over) return false;
    this.over = true;
    this.#lifetime?.delete(this);
    this.#unlisten?.();
    this.undo?.();
    return true;
  }
}

/** Ends every call by its signal or by the disposal of the backend, and leaves no listener behind. */
export class Lifetime {
  readonly #pending = new Set<Settle<never>>();
  #stopped = false;

  /** `start` may return what undoes it; that runs once, however the call ends. */
  run<T>(signal: AbortSignal, start: (settle: Settle<T>) => (() => void) | undefined): Promise<T> {
    const pending = new Pending<T>(signal);
    pending.attach(this);
    if (pending.over) return pending.promise;
    try {
      const undo = start({
        resolve: (value) => pending.resolve(value),
        reject: (error) => pending.reject(error),
      });
      if (pending.over) undo?.();
      else pending.undo = undo;
    } catch (error) {
      pending.reject(error);
    }
    return pending.promise;
  }

  /** Without effect, and `false`, once it is over: what is added is rejected. */
  add(pending: Settle<never>): boolean {
    if (this.#stopped) pending.reject(stopped('refused'));
    else this.#pending.add(pending);
    return !this.#stopped;
  }

  delete(pending: Settle<never>): void {
    this.#pending.delete(pending);
  }

  stop(): void {
    this.#stopped = true;
    for (const pending of this.#pending) pending.reject(stopped());
  }
}

/** @param outcome `refused` where nothing was sent. */
export function stopped(outcome: RequestOutcome = 'unknown'): SyncError {
  return new SyncError('stopped', 'the etcd backend was disposed', { outcome });
}
