import type { Backend, Commit, CommitResult, Revision, StoredRecord } from '../../contract/backend.ts';
import { type RequestOutcome, SyncError } from '../../contract/errors.ts';
import { wasRefused } from '../../contract/retry.ts';
import { type OwnPut, OwnPuts, ownPutsIn } from './own-puts.ts';
import { verbsOf } from './verbs-of.ts';

/** What this process knows of one store's past, whichever of its sessions has learned it. */
interface History {
  /** The largest revision of a record that is known to have been put. */
  latest: Revision;
  /** Why the store is not trusted any more. */
  broken: string | undefined;
}

const histories = new WeakMap<Backend, History>();

function historyOf(backend: Backend): History {
  const known = histories.get(backend);
  if (known !== undefined) return known;
  const history = { latest: 0n, broken: undefined };
  histories.set(backend, history);
  return history;
}

/** Two that lead to the same store: what the one has noticed, the other must not forget. */
export function shareHistory(backend: Backend, other: Backend): void {
  histories.set(other, historyOf(backend));
}

/**
 * A backend whose revisions only go forward. If the store was emptied or restored from an old copy, a record of ours
 * gets a revision that some earlier write had before: a fencing token made of it would not be larger than one that is
 * already out in the world. From then on nothing is granted; only a new process may trust that store.
 */
export function forwardOnly(backend: Backend): Backend {
  const history = historyOf(backend);
  /** What the newest session owns was written after it was opened, also when we never got an answer to that write. */
  let floor: { readonly session: string; readonly revision: Revision } | undefined;
  const ownPuts = new OwnPuts();

  function commit(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const puts = ownPutsIn(commit);
    return puts.length === 0 ? passOn(commit, signal) : put(commit, puts, signal);
  }

  async function put(commit: Commit, puts: readonly OwnPut[], signal: AbortSignal): Promise<CommitResult> {
    if (history.broken !== undefined) {
      // What came back with the store must not keep others out for as long as our session lives.
      await takeBack(puts, signal);
      throw reset('refused');
    }
    // Only what was complete before this one was sent must have a smaller revision.
    const before = history.latest;
    let result: CommitResult;
    try {
      result = await backend.commit(commit, signal);
      if ('read' in result && result.read !== undefined) await lookAt(result.read, signal);
    } catch (error) {
      if (!wasRefused(error)) for (const put of puts) ownPuts.failed(put, before);
      throw error;
    }
    if (!result.ok) {
      if (result.why === 'conflict') for (const put of puts) ownPuts.unclear(put, before);
      return result;
    }
    note(commit, result.revision);
    const isOnly = putsIn(commit) === 1;
    for (const { over } of puts) {
      if (!isJudged(over, isOnly) || !isOld(over, result.revision, before)) continue;
      // First remembered, and then cleaned up after: that may fail.
      remember(before, result.revision);
      await takeBack(puts, signal);
      throw reset('unknown');
    }
    for (const put of puts) {
      if (isJudged(put.over, isOnly)) ownPuts.applied(put, result.revision);
      else ownPuts.unclear(put, before);
    }
    return result;
  }

  async function passOn(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const result = await backend.commit(commit, signal);
    if ('read' in result && result.read !== undefined) await lookAt(result.read, signal);
    if (result.ok) note(commit, result.revision);
    return result;
  }

  async function lookAt(records: readonly StoredRecord[], signal: AbortSignal): Promise<void> {
    for (const record of records) {
      const from = reachedBefore(record);
      if (from !== undefined) await expel(record, from, signal);
    }
  }

  function note({ then }: Commit, revision: Revision): void {
    for (const { put, remove } of then) {
      if (put === undefined) ownPuts.removed(remove);
      else if (revision > history.latest) history.latest = revision;
    }
  }

  /** @param least a revision that the store had reached before this record was put, if such a one is known. */
  function reachedBefore({ session, revision }: StoredRecord, least?: Revision): Revision | undefined {
    if (floor === undefined || session !== floor.session) return undefined;
    const from = revision <= floor.revision ? floor.revision : least;
    // Put without an answer, perhaps; now it is known.
    if (from === undefined && revision > history.latest) history.latest = revision;
    return from;
  }

  /** Rejects where it may stand there still. */
  async function expel(
    { key, session = '', revision }: StoredRecord,
    from: Revision,
    signal: AbortSignal,
  ): Promise<void> {
    remember(from, revision);
    if (!(await takeBack([{ key, session }], signal))) throw reset('unknown');
  }

  function remember(from: Revision, to: Revision): void {
    history.broken ??=
      `${backend.traits.name} went back from revision ${from} to ${to}: its data was lost or restored. ` +
      'No lock is granted any more; restart this process once the store is as it should be';
  }

  function reset(outcome: RequestOutcome): SyncError {
    return new SyncError('store-reset', history.broken ?? '', { outcome });
  }

  /** Best effort. While anything of it may stand there, whoever looks at it comes here again. `false`: that is so. */
  async function takeBack(
    puts: readonly Pick<OwnPut, 'key' | 'session'>[],
    signal: AbortSignal,
  ): Promise<boolean> {
    let gone = true;
    for (const { key, session } of puts) {
      const removal: Commit = { when: [{ key, session }], then: [{ remove: key }] };
      await backend.commit(removal, signal).catch(() => {
        gone = false;
      });
    }
    return gone;
  }

  return {
    // What a watch wakes for is read. What is committed within a transaction says nothing by its revision, which may be given once
    // more after a crash; and it puts nothing that is owned.
    ...verbsOf(backend),
    async openSession(options, signal) {
      const revision = history.latest;
      const session = await backend.openSession(options, signal);
      floor = { session: session.id, revision };
      ownPuts.begin(session.id);
      return session;
    },
    async query(scope, options) {
      const { mark } = ownPuts;
      const result = await backend.query(scope, options);
      const { signal, since } = options;
      // Not one that has waited: it may show what was read before.
      const key = since === undefined ? scope.key : undefined;
      const least = key === undefined ? undefined : ownPuts.look(key, result.records[0], mark);
      let { records } = result;
      for (const record of result.records) {
        const from = reachedBefore(record, least);
        if (from === undefined) continue;
        await expel(record, from, signal);
        records = records.filter((other) => other !== record);
      }
      return { records, at: result.at };
    },
    commit,
  };
}

function putsIn({ then }: Commit): number {
  let puts = 0;
  for (const { put } of then) if (put !== undefined) puts += 1;
  return puts;
}

/**
 * Whether the answer's revision tells of this put. It is that of the youngest record put, so beside other puts one over a
 * record of before may have kept a smaller one.
 */
function isJudged(over: OwnPut['over'], isOnly: boolean): boolean {
  return over === 'nothing' || (isOnly && over !== undefined);
}

/** Whether what was put just now has a revision that the store had reached before. */
function isOld(over: OwnPut['over'], revision: Revision, before: Revision): boolean {
  return revision <= before && revision !== over;
}
