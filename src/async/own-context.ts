import { AsyncResource } from 'node:async_hooks';

/**
 * The asynchronous context (what `AsyncLocalStorage` tells) in which this was made. What outlives a call is begun in it:
 * a timer, a socket or a suspended function keeps the context it was begun in, and with that of a caller everything
 * that belongs to the caller's request.
 */
export class OwnContext {
  readonly #resource = new AsyncResource('holdfast');

  /** Gives what `work` gives, or throws what it throws. */
  run<T>(work: () => T): T {
    return this.#resource.runInAsyncScope(work);
  }
}
