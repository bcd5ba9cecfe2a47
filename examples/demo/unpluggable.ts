import { setTimeout as delay } from 'node:timers/promises';
import { type Backend, SyncError } from 'holdfast';

/** Milliseconds after which an unplugged backend gives up a call. */
const REQUEST_TIMEOUT = 500;

/** A backend whose cable can be pulled: from then on nothing is answered. */
export function unpluggable(backend: Backend): { readonly backend: Backend; unplug(): void } {
  let plugged = true;
  const via = async <T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> => {
    if (plugged) return await call();
    await delay(REQUEST_TIMEOUT, undefined, { signal });
    throw new SyncError('unavailable', `no answer within ${REQUEST_TIMEOUT} ms`);
  };
  return {
    unplug: () => {
      plugged = false;
    },
    backend: {
      traits: backend.traits,
      lockPath: (key) => backend.lockPath(key),
      openSession: (options, signal) => via(signal, () => backend.openSession(options, signal)),
      renewSession: (id, signal) => via(signal, () => backend.renewSession(id, signal)),
      closeSession: (id, signal) => via(signal, () => backend.closeSession(id, signal)),
      query: (scope, options) => via(options.signal, () => backend.query(scope, options)),
      commit: (commit, signal) => via(signal, () => backend.commit(commit, signal)),
      [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
    },
  };
}
