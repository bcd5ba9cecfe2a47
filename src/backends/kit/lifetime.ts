import { expectManyListeners } from '../../async/realms.ts';
import { SettleOnce } from '../../async/settle-once.ts';
import { OVER, type RequestOutcome, SyncError } from '../../contract/errors.ts';

/** Whoever has to be told that it is over. */
export interface Waiting {
  reject(reason: SyncError): unknown;
}

/** Ends every call by its signal or by the disposal of the backend, and leaves no listener behind. */
export class Lifetime {
  readonly #name: string;
  readonly #waiting = new Set<Waiting>();
  #over = false;

  /** @param name of the backend, for those who come too late. */
  constructor(name: string) {
    this.#name = name;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Throws what a call has to reject with that must not begin any more. */
  check(signal: AbortSignal): void {
    if (this.#over) throw this.stopped('refused');
    if (signal.aborted) throw signal.reason;
  }

  add(waiting: Waiting): void {
    this.#waiting.add(waiting);
  }

  delete(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }

  /** Rejects with the signal's reason, or with code `stopped`, as soon as either happens; `work` is told to end. */
  call<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const call = new SettleOnce<T>();
    const controller = new AbortController();
    expectManyListeners(controller.signal);
    let done = false;
    this.add(call);
    call.finally(() => {
      this.delete(call);
      if (!done) controller.abort(OVER);
    });
    const finish = (settle: () => void): void => {
      done = true;
      settle();
    };
    work(controller.signal).then(
      (value) => finish(() => call.resolve(value)),
      (error: unknown) => finish(() => call.reject(error)),
    );
    return call.follow(signal).promise;
  }

  /** Everybody who waits is told. */
  end(): void {
    this.#over = true;
    const stopped = this.stopped();
    for (const waiting of [...this.#waiting]) waiting.reject(stopped);
  }

  /** @param outcome `refused` where nothing was sent. */
  stopped(outcome: RequestOutcome = 'unknown'): SyncError {
    return new SyncError('stopped', `the ${this.#name} backend was disposed`, { outcome });
  }
}
