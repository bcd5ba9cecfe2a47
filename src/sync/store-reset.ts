import { type Backend, type Commit, type CommitResult, type Revision, SyncError } from './backend.ts';

/**
 * A backend whose revisions only go forward. If the store was emptied or restored from an old copy, a write gets
 * a revision that some earlier write had before: a fencing token made of it would not be larger than one that is
 * already out in the world. From then on nothing is granted; only a new process may trust that store.
 */
export function forwardOnly(backend: Backend): Backend {
  let latest: Revision = 0n;
  let broken: SyncError | undefined;

  async function commit(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const owned = commit.then.some((mutation) => 'put' in mutation && mutation.session !== undefined);
    if (owned && broken !== undefined) throw broken;
    // Only what was complete before this one was sent must have a smaller revision.
    const before = latest;
    const result = await backend.commit(commit, signal);
    if (!result.ok || !commit.then.some((mutation) => 'put' in mutation)) return result;
    if (result.revision > latest) latest = result.revision;
    // Only a record that was taken just now must be new: writing the same data again may change nothing.
    if (!owned || result.revision > before) return result;
    broken ??= new SyncError(
      'store-reset',
      `${backend.traits.name} went back from revision ${before} to ${result.revision}: its data was lost or restored. ` +
        'No lock is granted any more; restart this process once the store is as it should be',
    );
    await takeBack(commit, signal);
    throw broken;
  }

  async function takeBack({ then }: Commit, signal: AbortSignal): Promise<void> {
    for (const mutation of then) {
      if (!('put' in mutation) || mutation.session === undefined) continue;
      const { put: key, session } = mutation;
      await backend.commit({ when: [{ key, session }], then: [{ remove: key }] }, signal);
    }
  }

  return {
    traits: backend.traits,
    lockPath: (key) => backend.lockPath(key),
    openSession: (options, signal) => backend.openSession(options, signal),
    renewSession: (id, signal) => backend.renewSession(id, signal),
    closeSession: (id, signal) => backend.closeSession(id, signal),
    query: (scope, options) => backend.query(scope, options),
    commit,
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}
