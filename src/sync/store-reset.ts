import {
  type Backend,
  type Commit,
  type CommitResult,
  type Revision,
  type StoredRecord,
  SyncError,
} from './backend.ts';

/**
 * A backend whose revisions only go forward. If the store was emptied or restored from an old copy, a record of ours
 * gets a revision that some earlier write had before: a fencing token made of it would not be larger than one that is
 * already out in the world. From then on nothing is granted; only a new process may trust that store.
 */
export function forwardOnly(backend: Backend): Backend {
  let latest: Revision = 0n;
  /** What the newest session owns was written after it was opened, also when we never got an answer to that write. */
  let floor: { readonly session: string; readonly revision: Revision } | undefined;
  let broken: SyncError | undefined;

  async function commit(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const owned = commit.then.some((mutation) => 'put' in mutation && mutation.session !== undefined);
    if (owned && broken !== undefined) throw broken;
    // Only what was complete before this one was sent must have a smaller revision.
    const before = latest;
    const result = await backend.commit(commit, signal);
    if ('read' in result) await inspect(result.read ?? [], signal);
    if (!result.ok || !commit.then.some((mutation) => 'put' in mutation)) return result;
    if (result.revision > latest) latest = result.revision;
    // Only a record that was taken just now must be new: writing the same data again may change nothing.
    if (!owned || result.revision > before) return result;
    for (const mutation of commit.then) {
      if ('put' in mutation && mutation.session !== undefined) {
        await takeBack(mutation.put, mutation.session, signal);
      }
    }
    throw wentBack(before, result.revision);
  }

  async function inspect(records: readonly StoredRecord[], signal: AbortSignal): Promise<void> {
    for (const { key, session, revision } of records) {
      if (floor === undefined || session !== floor.session || revision > floor.revision) continue;
      await takeBack(key, session, signal);
      throw wentBack(floor.revision, revision);
    }
  }

  async function takeBack(key: string, session: string, signal: AbortSignal): Promise<void> {
    await backend.commit({ when: [{ key, session }], then: [{ remove: key }] }, signal);
  }

  function wentBack(from: Revision, to: Revision): SyncError {
    broken ??= new SyncError(
      'store-reset',
      `${backend.traits.name} went back from revision ${from} to ${to}: its data was lost or restored. ` +
        'No lock is granted any more; restart this process once the store is as it should be',
    );
    return broken;
  }

  const verbs: Backend = {
    traits: backend.traits,
    lockPath: (key) => backend.lockPath(key),
    async openSession(options, signal) {
      const revision = latest;
      const session = await backend.openSession(options, signal);
      floor = { session: session.id, revision };
      return session;
    },
    renewSession: (id, signal) => backend.renewSession(id, signal),
    closeSession: (id, signal) => backend.closeSession(id, signal),
    async query(scope, options) {
      const result = await backend.query(scope, options);
      await inspect(result.records, options.signal);
      return result;
    },
    commit,
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
  // What it wakes for is read.
  if (backend.watch !== undefined) verbs.watch = backend.watch.bind(backend);
  if (backend.positionOf !== undefined) verbs.positionOf = backend.positionOf.bind(backend);
  return verbs;
}
