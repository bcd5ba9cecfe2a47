import type { Backend } from 'holdfast';

export type Verbs = Partial<Omit<Backend, 'traits'>>;

/** The same backend, with some verbs replaced. Without `watch`, unless given: then the queries show all that is asked. */
export function withVerbs(backend: Backend, verbs: Verbs): Backend {
  const passed: Backend = {
    traits: backend.traits,
    lockPath: (key) => backend.lockPath(key),
    openSession: (options, signal) => backend.openSession(options, signal),
    renewSession: (id, signal) => backend.renewSession(id, signal),
    closeSession: (id, signal) => backend.closeSession(id, signal),
    query: (scope, options) => backend.query(scope, options),
    commit: (commit, signal) => backend.commit(commit, signal),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
  return Object.assign(passed, verbs);
}
