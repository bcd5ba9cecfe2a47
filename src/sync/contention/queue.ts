import type { StoredRecord } from '../backend.ts';
import { type Attempt, type Contention, type Contest, MAX_ROUNDS, type Place } from './contention.ts';
import { removeRecord } from './record.ts';

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
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (contender === undefined) {
        const entered = await enter(contest, signal);
        if (entered !== undefined && 'outcome' in entered) return entered;
        contender = entered;
        if (contender === undefined) continue;
      }
      const verified = await verify(contest, contender, signal);
      if (verified !== undefined) return verified;
      contender = undefined;
    }
    return { outcome: 'delayed', retryAfter: 0 };
  },

  /** The look is about *every* earlier contender: the one we waited for may have left from the middle of the queue. */
  async wait(contest, place, signal) {
    const { contender } = place;
    if (contender === undefined) return place;
    // Ours and the one before it, in one look: whoever sees ours alone is first.
    const scope = { prefix: contest.path, youngest: 2, before: contender.created + 1n };
    let { records, at } = await contest.backend.query(scope, { signal });
    for (;;) {
      const [ours, predecessor] = records;
      if (ours?.created !== contender.created || ours.revision !== contender.revision) return {};
      if (predecessor === undefined) return { contender, first: true };
      if (isOrphan(contest, predecessor)) await removeRecord(contest, predecessor, signal);
      ({ records, at } = await contest.backend.query(scope, { since: at, wait: contest.wait, signal }));
    }
  },

  async remove(contest, holding, signal) {
    if (holding !== undefined && (await removeRecord(contest, { key: holding.record, ...holding }, signal)))
      return;
    for (;;) {
      // The name carries our session, so whatever stands there is ours to remove, even if somebody overwrote it.
      const record = await own(contest, signal);
      if (record === undefined || (await removeRecord(contest, record, signal))) return;
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
    if (result.count === 1) return acquired(contest, contender);
    return { outcome: 'occupied', place: { contender } };
  }
  if (result.why === 'session-gone') return { outcome: 'session-gone' };
  if (result.why === 'delayed') return { outcome: 'delayed', retryAfter: result.retryAfter };

  // Something stands there in our name: an earlier attempt that had no answer, or somebody's plain write over it.
  const record = await own(contest, signal);
  if (record?.session === session) return { created: record.created, revision: record.revision };
  if (record !== undefined) await removeRecord(contest, record, signal);
  return undefined;
}

/** Still in line, and nobody ahead? `undefined`: our contender is gone. */
async function verify(
  contest: Contest,
  contender: Contender,
  signal: AbortSignal,
): Promise<Attempt | undefined> {
  const result = await contest.backend.commit(
    {
      when: [{ key: contest.path + contest.session, revision: contender.revision }],
      then: [],
      read: { prefix: contest.path, youngest: 1, before: contender.created },
    },
    signal,
  );
  if (!result.ok) return undefined;
  return result.read?.length === 0
    ? acquired(contest, contender)
    : { outcome: 'occupied', place: { contender } };
}

function acquired(contest: Contest, contender: Contender): Attempt {
  const { path, session } = contest;
  const { created, revision } = contender;
  return { outcome: 'acquired', holding: { record: path + session, session, revision, token: created } };
}

async function own(contest: Contest, signal: AbortSignal): Promise<StoredRecord | undefined> {
  const { records } = await contest.backend.query({ key: contest.path + contest.session }, { signal });
  return records[0];
}

/**
 * A contender that a plain write took away from its session: no expiry will ever remove it, and everyone would wait
 * behind it for good. Only what is named like a contender is touched.
 */
function isOrphan(contest: Contest, record: StoredRecord): boolean {
  return record.session === undefined && /^[0-9a-f]+$/.test(record.key.slice(contest.path.length));
}
