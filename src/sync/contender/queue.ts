import type { Scope, StoredRecord } from '../../contract/backend.ts';
import { REFUSED, SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { removeRecord } from './remove-record.ts';
import { type Attempt, type Contention, type Contest, MAX_ROUNDS, type Place } from './strategy.ts';

/** Milliseconds for which a contender that was overwritten while we waited is left to whom it belonged: who lives removes it. */
const OWNERS_CHANCE = 2_000;

/**
 * Each session puts a contender under the lock's prefix; the one created first holds, and each waits for the one
 * before it: no herd, first come first served. The layout and the rule are those of etcd's Go package `concurrency`,
 * so `etcdctl lock` and Go programs stand in the same queue.
 *
 * The creation revision is the fencing token: whoever holds later was created later.
 */
export const queue: Contention = {
  record: (path, session) => path + session,

  async attempt(contest, place, signal) {
    let contender = place?.contender;
    if (contender !== undefined && place?.first) return acquired(contest, contender);
    if (place?.ahead?.blocker !== undefined) return blocked(contest, place, place.ahead.blocker);
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (contender === undefined) {
        const entered = await enter(contest, signal);
        if (entered !== undefined && 'outcome' in entered) return entered;
        contender = entered;
        if (contender === undefined) continue;
      }
      const attempt = await look(contest, contender, signal);
      if (attempt !== undefined) return attempt;
      contender = undefined;
    }
    return { outcome: 'delayed', retryAfter: 0 };
  },

  /** The look is about *every* earlier contender: the one we waited for may have left from the middle of the queue. */
  async wait(contest, place, signal) {
    const { contender, ahead } = place;
    if (contender === undefined || ahead === undefined) return place;
    let { at, predecessor: last } = ahead;
    let suspect: string | undefined;
    for (;;) {
      const wait = suspect === undefined ? contest.wait : Math.min(contest.wait, OWNERS_CHANCE);
      const seen = await contest.backend.query(aheadOf(contest, contender), { since: at, wait, signal });
      at = seen.at;
      const [ours, predecessor] = seen.records;
      if (!isUntouched(ours, contender)) return {};
      if (predecessor === undefined) return { contender, first: true };
      const blocker = await blockerOf(contest, predecessor, predecessor.key === last, signal);
      last = predecessor.key;
      // Told once, and told again when it has gone: neither for ever silent, nor again and again.
      if (blocker === ahead.blocker) {
        suspect = undefined;
        continue;
      }
      if (blocker === undefined) return { contender };
      if (blocker !== last || blocker === suspect)
        return { contender, ahead: { at, predecessor: last, blocker } };
      suspect = blocker;
    }
  },

  async remove(contest, holding, signal) {
    if (holding !== undefined && (await removeRecord(contest, { key: holding.record, ...holding }, signal)))
      return;
    for (;;) {
      const record = await own(contest, signal);
      if (record === undefined || !isOurs(contest, record)) return;
      if (await removeRecord(contest, record, signal)) return;
    }
  },
};

type Contender = NonNullable<Place['contender']>;

/** Stands in line, and learns in the same step whether it stands there alone: nobody is ahead of it then. */
async function enter(contest: Contest, signal: AbortSignal): Promise<Contender | Attempt | undefined> {
  const { path, session } = contest;
  const key = path + session;
  const result = await contest.backend.commit(
    {
      when: [{ key, is: 'absent' }],
      then: [{ put: key, value: contest.value(), session }],
      count: path,
    },
    signal,
  );
  if (result.ok) {
    const { revision } = result;
    const contender = { created: revision, revision };
    return result.count === 1 ? acquired(contest, contender, key) : contender;
  }
  if (result.why === 'session-gone') return { outcome: 'session-gone' };
  if (result.why === 'delayed') return { outcome: 'delayed', retryAfter: result.retryAfter };

  // Something stands there in our name: an earlier attempt that had no answer, or somebody's plain write over it.
  const record = await own(contest, signal);
  if (record === undefined) return undefined;
  if (record.session === session) return { created: record.created, revision: record.revision };
  if (!isOurs(contest, record)) throw foreign(contest, record.key);
  await removeRecord(contest, record, signal);
  return undefined;
}

/** Still in line, and who is ahead? `undefined`: our contender is gone. */
async function look(
  contest: Contest,
  contender: Contender,
  signal: AbortSignal,
): Promise<Attempt | undefined> {
  const { records, at } = await contest.backend.query(aheadOf(contest, contender), { signal });
  const [ours, predecessor] = records;
  if (!isUntouched(ours, contender)) return undefined;
  if (predecessor === undefined) return acquired(contest, contender);
  const blocker = await blockerOf(contest, predecessor, false, signal);
  const place = { contender, ahead: { at, predecessor: predecessor.key, blocker } };
  return blocker === undefined ? { outcome: 'occupied', place } : blocked(contest, place, blocker);
}

function blocked(contest: Contest, place: Place, blocker: string): Attempt {
  return { outcome: 'foreign', error: foreign(contest, blocker), place };
}

/** Ours and the one before it, in one look: whoever sees ours alone is first. */
function aheadOf({ path }: Contest, { created }: Contender): Scope {
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
  contest: Contest,
  predecessor: StoredRecord,
  quiet: boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  const blocker = await withoutSession(contest, predecessor, quiet, signal);
  if (blocker === undefined) return undefined;
  // A contender of this process under a session that has ended, and written over: nobody else would remove it.
  if (contest.wasOurs(blocker.key.slice(contest.path.length))) {
    await removeRecord(contest, blocker, signal);
    return undefined;
  }
  return blocker.key;
}

async function withoutSession(
  contest: Contest,
  predecessor: StoredRecord,
  quiet: boolean,
  signal: AbortSignal,
): Promise<StoredRecord | undefined> {
  if (predecessor.session === undefined) return predecessor;
  if (!quiet) return undefined;
  const { records } = await contest.backend.query({ prefix: contest.path, oldest: 1 }, { signal });
  const [head] = records;
  return head?.session === undefined ? head : undefined;
}

function foreign({ key }: Contest, record: string): SyncError {
  const what = `holds ${quoteKey(record)}, a record without a session, which keeps everybody out`;
  return new SyncError(
    'foreign-record',
    `the queue of ${quoteKey(key)} ${what}; it was left untouched: remove it if nobody needs it`,
    REFUSED,
  );
}

function acquired(
  { path, session }: Contest,
  { created, revision }: Contender,
  record = path + session,
): Attempt {
  return { outcome: 'acquired', holding: { record, session, revision, token: created } };
}

async function own(contest: Contest, signal: AbortSignal): Promise<StoredRecord | undefined> {
  const { records } = await contest.backend.query({ key: contest.path + contest.session }, { signal });
  return records[0];
}

/**
 * The name carries our session, so what stands there is our contender, also when a plain write took it from the session:
 * nobody else would ever remove it. But what somebody else's session owns is theirs.
 */
function isOurs({ session }: Contest, record: StoredRecord): boolean {
  return record.session === undefined || record.session === session;
}
