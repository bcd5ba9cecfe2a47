import {
  type Backend,
  type Commit,
  type CommitResult,
  REFUSED,
  type Revision,
  type StoredRecord,
  SyncError,
} from './backend.ts';
import { wasRefused } from './backoff.ts';
import { type OwnPut, OwnPuts, ownPutsIn } from './own-puts.ts';

/**
 * A backend whose revisions only go forward. If the store was emptied or restored from an old copy, a record of ours
 * gets a revision that some earlier write had before: a fencing token made of it would not be larger than one that is
 * already out in the world. From then on nothing is granted; only a new process may trust that store.
 */
export function forwardOnly(backend: Backend): Backend {
  let latest: Revision = 0n;
  /** What the newest session owns was written after it was opened, also when we never got an answer to that write. */
  let floor: { readonly session: string; readonly revision: Revision } | undefined;
  let broken: string | undefined;
  const ownPuts = new OwnPuts();

  async function commit(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const puts = ownPutsIn(commit);
    if (puts.length === 0) return await passOn(commit, signal);
    if (broken !== undefined) {
      // What came back with the store must not keep others out for as long as our session lives.
      await takeBack(puts, signal);
      throw new SyncError('store-reset', broken, REFUSED);
    }
    // Only what was complete before this one was sent must have a smaller revision.
    const before = latest;
    for (const put of puts) ownPuts.sent(put, before);
    let result: CommitResult;
    try {
      result = await passOn(commit, signal);
    } catch (error) {
      for (const put of puts) {
        if (wasRefused(error)) ownPuts.answered(put);
        else ownPuts.failed(put);
      }
      throw error;
    }
    const judged = result.ok ? judgedIn(commit, puts) : NONE;
    if (result.ok && judged.some(({ over }) => isOld(over, result.revision, before))) {
      await wentBack(before, result.revision, puts, signal);
    }
    for (const put of puts) {
      if (result.ok && judged.includes(put)) ownPuts.answered(put, result.revision);
      else ownPuts.answered(put);
    }
    return result;
  }

  async function passOn(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const result = await backend.commit(commit, signal);
    if ('read' in result) await inspect(result.read ?? [], signal);
    if (!result.ok) return result;
    let puts = false;
    for (const mutation of commit.then) {
      if ('put' in mutation) puts = true;
      else ownPuts.removed(mutation.remove);
    }
    if (puts && result.revision > latest) latest = result.revision;
    return result;
  }

  async function inspect(records: readonly StoredRecord[], signal: AbortSignal): Promise<void> {
    for (const record of records) {
      if (floor === undefined || record.session !== floor.session || record.revision > floor.revision)
        continue;
      await wentBack(floor.revision, record.revision, [putOf(record)], signal);
    }
  }

  /** First remembers, and then cleans up: that may fail. */
  async function wentBack(
    from: Revision,
    to: Revision,
    puts: readonly OwnPut[],
    signal: AbortSignal,
  ): Promise<never> {
    broken ??=
      `${backend.traits.name} went back from revision ${from} to ${to}: its data was lost or restored. ` +
      'No lock is granted any more; restart this process once the store is as it should be';
    await takeBack(puts, signal);
    throw new SyncError('store-reset', broken);
  }

  /** Best effort: as long as anything of it may stand there, whoever looks at it comes here again. */
  async function takeBack(puts: readonly OwnPut[], signal: AbortSignal): Promise<void> {
    for (const { key, session } of puts) {
      const removal: Commit = { when: [{ key, session }], then: [{ remove: key }] };
      await backend.commit(removal, signal).catch(() => undefined);
    }
  }

  const verbs: Backend = {
    traits: backend.traits,
    lockPath: (key) => backend.lockPath(key),
    async openSession(options, signal) {
      const revision = latest;
      const session = await backend.openSession(options, signal);
      floor = { session: session.id, revision };
      ownPuts.begin(session.id);
      return session;
    },
    renewSession: (id, signal) => backend.renewSession(id, signal),
    closeSession: (id, signal) => backend.closeSession(id, signal),
    async query(scope, options) {
      const { mark } = ownPuts;
      const result = await backend.query(scope, options);
      const { signal, since } = options;
      await inspect(result.records, signal);
      // Not one that has waited: it may show what was read before.
      if (!('key' in scope) || since !== undefined) return result;
      const [record] = result.records;
      const least = ownPuts.look(scope.key, record, mark);
      if (least !== undefined && record !== undefined) {
        await wentBack(least, record.revision, [putOf(record)], signal);
      }
      return result;
    },
    commit,
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
  // What it wakes for is read.
  if (backend.watch !== undefined) verbs.watch = backend.watch.bind(backend);
  return verbs;
}

const NONE: readonly OwnPut[] = [];

/**
 * The puts of which the answer's revision tells. It is that of the youngest record put, so beside other puts one over a
 * record of before may have kept a smaller one.
 */
function judgedIn({ then }: Commit, puts: readonly OwnPut[]): readonly OwnPut[] {
  const isOnly = then.filter((mutation) => 'put' in mutation).length === 1;
  return puts.filter(({ over }) => over === 'nothing' || (isOnly && over !== undefined));
}

/** Whether what was put just now has a revision that the store had reached before. */
function isOld(over: OwnPut['over'], revision: Revision, before: Revision): boolean {
  return revision <= before && revision !== over;
}

function putOf({ key, session = '' }: StoredRecord): OwnPut {
  return { key, session, over: undefined };
}
