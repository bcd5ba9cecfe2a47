import type { Backend } from '../../contract/backend.ts';
import { shareHistory } from './forward-only.ts';

/** A backend of another manager's, which goes on using it. */
export function lent(backend: Backend): Backend {
  const verbs: Backend = {
    traits: backend.traits,
    lockPath: (key) => backend.lockPath(key),
    openSession: (options, signal) => backend.openSession(options, signal),
    renewSession: (id, signal) => backend.renewSession(id, signal),
    closeSession: (id, signal) => backend.closeSession(id, signal),
    query: (scope, options) => backend.query(scope, options),
    commit: (commit, signal) => backend.commit(commit, signal),
    // Its own manager does that.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  if (backend.commitWithin !== undefined) verbs.commitWithin = backend.commitWithin.bind(backend);
  if (backend.watch !== undefined) verbs.watch = backend.watch.bind(backend);
  if (backend.positionOf !== undefined) verbs.positionOf = backend.positionOf.bind(backend);
  shareHistory(backend, verbs);
  return verbs;
}
