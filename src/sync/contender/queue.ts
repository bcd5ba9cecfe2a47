import type { Cursor, Revision, Scope, StoredRecord } from '../../contract/backend.ts';
import { refused, type SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { removeRecord } from './remove-record.ts';
import { type Attempt, type Contention, type LockContext, MAX_ROUNDS } from './strategy.ts';

/** Milliseconds for which a contender that was overwritten while we waited is left to whom it belonged: who lives removes it. */
const OWNERS_CHANCE = 2_000;

/** What we have put in line. */
interface Contender {
  readonly created: Revision;
  readonly revision: Revision;
}

type Place =
  /** Our contender is gone: we have to stand in line anew. */
  | { readonly stands: 'nowhere' }
  /** Who is ahead has to be looked at. */
  | { readonly stands: 'in-line'; readonly contender: Contender }
  /** A look at the store has shown our contender untouched, and nobody ahead of it. */
  | { readonly stands: 'first'; readonly contender: Contender }
  | Behind;

interface Behind {
  readonly stands: 'behind';
  readonly contender: Contender;
  /** The key of who was before us, as of a look at that position. */
  readonly predecessor: string;
  readonly at: Cursor;
  /** The key of a foreign record that keeps everybody out, if there is one. */
  readonly blocker: string | undefined;
}

/**
 * Each session puts a contender under the lock's prefix; the one created first holds, and each waits for the one
 * before it: no herd, first come first served. The layout and the rule are those of etcd's Go package `concurrency`,
 * so `etcdctl lock` and Go programs stand in the same queue.
 *
 * The creation revision is the fencing token: whoever holds later was created later.
 */
export const queue: Contention<Place> = {
  record: (path, session) => path + session,

  async attempt(lock, place, signal) {
    if (place?.stands === 'first') return acquired(lock, place.contender);
    if (place?.stands === 'behind' && place.blocker !== undefined) return blocked(lock, place, place.blocker);
    let contender = place === undefined || place.stands === 'nowhere' ? undefined : place.contender;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (contender === undefined) {
        const entered = await enter(lock, signal);
        if (entered !== undefined && 'outcome' in entered) return entered;
        contender = entered;
        if (contender === undefined) continue;
      }
      const attempt = await look(lock, contender, signal);
      if (attempt !== undefined) return attempt;
      contender = undefined;
    }
    return { outcome: 'delayed', retryAfter: 0 };
  },

  /** The look is about *every* earlier contender: the one we waited for may have left from the middle of the queue. */
  async wait(lock, place, signal) {
    if (place.stands !== 'behind') return place;
    const { contender } = place;
    let { at, predecessor: last } = place;
    let suspect: string | undefined;
    for (;;) {
      const wait = suspect === undefined ? lock.wait : Math.min(lock.wait, OWNERS_CHANCE);
      const seen = await lock.backend.query(aheadOf(lock, contender), { since: at, wait, signal });
      at = seen.at;
      const [ours, predecessor] = seen.records;
      if (!isUntouched(ours, contender)) return { stands: 'nowhere' };
      if (predecessor === undefined) return { stands: 'first', contender };
      const blocker = await blockerOf(lock, predecessor, predecessor.key === last, signal);
      last = predecessor.key;
      // Told once, and told again when it has gone: neither for ever silent, nor again and again.
      if (blocker === place.blocker) {
        suspect = undefined;
        continue;
      }
      if (blocker === undefined) return { stands: 'in-line', contender };
      if (blocker !== last || blocker === suspect) {
        return { stands: 'behind', contender, at, predecessor: last, blocker };
      }
      suspect = blocker;
    }
  },

  async remove(lock, holding, signal) {
    if (holding !== undefined && (await removeRecord(lock, { key: holding.record, ...holding }, signal)))
      return;
    for (;;) {
      const record = await own(lock, signal);
      if (record === undefined || !isOurs(lock, record)) return;
      if (await removeRecord(lock, record, signal)) return;
    }
  },
};

/** Stands in line, and learns in the same step whether it stands there alone: nobody is ahead of it then. */
async function enter(
  lock: LockContext,
  signal: AbortSignal,
): Promise<Contender | Attempt<Place> | undefined> {
  const { path, session } = lock;
  const key = path + session;
  const result = await lock.backend.commit(
    {
      when: [{ key, is: 'absent' }],
      then: [{ put: key, value: lock.value(), session }],
      count: path,
    },
    signal,
  );
  if (result.ok) {
    const { revision } = result;
    const contender = { created: revision, revision };
    return result.count === 1 ? acquired(lock, contender, key) : contender;
  }
  if (result.why === 'session-gone') return { outcome: 'session-gone' };
  if (result.why === 'delayed') return { outcome: 'delayed', retryAfter: result.retryAfter };

  // Something stands there in our name: an earlier attempt that had no answer, or somebody's plain write over it.
  const record = await own(lock, signal);
  if (record === undefined) return undefined;
  if (record.session === session) return { created: record.created, revision: record.revision };
  if (!isOurs(lock, record)) throw foreign(lock, record.key);
  await removeRecord(lock, record, signal);
  return undefined;
}

/** Still in line, and who is ahead? `undefined`: our contender is gone. */
async function look(
  lock: LockContext,
  contender: Contender,
  signal: AbortSignal,
): Promise<Attempt<Place> | undefined> {
  const { records, at } = await lock.backend.query(aheadOf(lock, contender), { signal });
  const [ours, predecessor] = records;
  if (!isUntouched(ours, contender)) return undefined;
  if (predecessor === undefined) return acquired(lock, contender);
  const blocker = await blockerOf(lock, predecessor, false, signal);
  const place: Behind = { stands: 'behind', contender, at, predecessor: predecessor.key, blocker };
  return blocker === undefined ? { outcome: 'occupied', place } : blocked(lock, place, blocker);
}

function blocked(lock: LockContext, place: Behind, blocker: string): Attempt<Place> {
  return { outcome: 'foreign', error: foreign(lock, blocker), place };
}

/** Ours and the one before it, in one look: whoever sees ours alone is first. */
function aheadOf({ path }: LockContext, { created }: Contender): Scope {
  return { prefix: path, youngest: 2, before: created + 1n };
}

function isUntouched(ours: StoredRecord | undefined, { created, revision }: Contender): boolean {
  return ours?.created === created && ours.revision === revision;
}

/**
 * The key of what keeps everybody out and will never go by itself: a record without a session, which somebody's plain write
 * has made, of nothing or of a contender. It is not ours to remove: it may be data, and its writer may be about to hold.
 *
 * @param quiet whether nothing has happened before us for long. Then it may be the head of the queue that stands for ever,
 * while those in between wait as we do; to look for it each time would cost the server a look at the whole queue.
 */
async function blockerOf(
  lock: LockContext,
  predecessor: StoredRecord,
  quiet: boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  const blocker = await withoutSession(lock, predecessor, quiet, signal);
  if (blocker === undefined) return undefined;
  // A contender of this process under a session that has ended, and written over: nobody else would remove it.
  if (lock.wasOurs(blocker.key.slice(lock.path.length))) {
    await removeRecord(lock, blocker, signal);
    return undefined;
  }
  return blocker.key;
}

async function withoutSession(
  lock: LockContext,
  predecessor: StoredRecord,
  quiet: boolean,
  signal: AbortSignal,
): Promise<StoredRecord | undefined> {
  if (predecessor.session === undefined) return predecessor;
  if (!quiet) return undefined;
  const { records } = await lock.backend.query({ prefix: lock.path, oldest: 1 }, { signal });
  const [head] = records;
  return head?.session === undefined ? head : undefined;
}

function foreign({ key }: LockContext, record: string): SyncError {
  const what = `holds ${quoteKey(record)}, a record without a session, which keeps everybody out`;
  return refused(
    'foreign-record',
    `the queue of ${quoteKey(key)} ${what}; it was left untouched: remove it if nobody needs it`,
  );
}

function acquired(
  { path, session }: LockContext,
  { created, revision }: Contender,
  record = path + session,
): Attempt<Place> {
  return { outcome: 'acquired', holding: { record, session, revision, token: created } };
}

async function own(lock: LockContext, signal: AbortSignal): Promise<StoredRecord | undefined> {
  const { records } = await lock.backend.query({ key: lock.path + lock.session }, { signal });
  return records[0];
}

/**
 * The name carries our session, so what stands there is our contender, also when a plain write took it from the session:
 * nobody else would ever remove it. But what somebody else's session owns is theirs.
 */
function isOurs({ session }: LockContext, record: StoredRecord): boolean {
  return record.session === undefined || record.session === session;
}
