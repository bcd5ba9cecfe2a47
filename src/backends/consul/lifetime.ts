import { expectManyListeners } from '../../async/realms.ts';
import { follow } from '../../async/signal-listeners.ts';
import { type RequestOutcome, SyncError } from '../../contract/errors.ts';

/** Ends every call by its own signal or by the disposal of the backend, and leaves no listener behind. */
export class Lifetime {
  readonly #calls = new Map<AbortController, Promise<unknown>>();
  #stopped = false;

  /** Throws what a call has to reject with that must not begin any more. */
  check(signal: AbortSignal): void {
    if (this.#stopped) throw stopped('refused');
    signal.throwIfAborted();
  }

  /** Rejects with the signal's reason, or with code `stopped`, as soon as either happens; `work` is told to end. */
  async run<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.check(signal);
    const controller = new AbortController();
    // A commit may read many keys at a time; Node would take more than ten listeners for a leak.
    expectManyListeners(controller.signal);
    const unlisten = follow(controller, signal);
    const working = work(controller.signal);
    this.#calls.set(controller, working);
    try {
      const result = await working;
      controller.signal.throwIfAborted();
      return result;
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      unlisten();
      this.#calls.delete(controller);
    }
  }

  /** Resolves when no call is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const controller of this.#calls.keys()) controller.abort(stopped());
    await Promise.allSettled(this.#calls.values());
  }
}

/** @param outcome `refused` where nothing was sent. */
export function stopped(outcome: RequestOutcome = 'unknown'): SyncError {
  return new SyncError('stopped', 'the Consul backend was disposed', { outcome });
}
