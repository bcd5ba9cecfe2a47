import type { Backend } from '../../contract/backend.ts';

/** The verbs of a backend as they are, those that are optional only if it has them: for who replaces some of them. */
export function verbsOf(backend: Backend): Backend {
  const verbs: Backend = {
    traits: backend.traits,
    lockPath: (key) => backend.lockPath(key),
    openSession: (options, signal) => backend.openSession(options, signal),
    renewSession: (id, signal) => backend.renewSession(id, signal),
    closeSession: (id, signal) => backend.closeSession(id, signal),
    query: (scope, options) => backend.query(scope, options),
    commit: (commit, signal) => backend.commit(commit, signal),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
  if (backend.commitWithin !== undefined) verbs.commitWithin = backend.commitWithin.bind(backend);
  if (backend.watch !== undefined) verbs.watch = backend.watch.bind(backend);
  if (backend.positionOf !== undefined) verbs.positionOf = backend.positionOf.bind(backend);
  return verbs;
}
