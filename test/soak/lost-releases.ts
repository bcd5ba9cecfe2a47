import assert from 'node:assert/strict';
import { type Backend, type Commit, type Grant, SyncError, type SyncManager } from 'holdfast';
import { live, Managers, stateOf, uniqueKey, type World } from '../scenarios/world.ts';
import { withVerbs } from '../with-verbs.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';

/** Rounds at a time, each on a key of its own. */
const TOGETHER = 200;

/** What becomes of a release before its caller hears of it. */
const kinds = [
  'the next in line takes the lock',
  'a newcomer takes the lock',
  'nobody takes the lock',
] as const;

/**
 * A release is carried out and its reply is lost, and often somebody else takes the lock before it is repeated: what
 * is repeated never removes the record of somebody else.
 */
export async function lostReleases(world: World, options: RowOptions): Promise<RowResult> {
  await using managers = new Managers(world);
  const operator = managers.operator();
  const rival = managers.make();
  const replies = new LostReplies(world.backend());
  const ours = managers.make({ backend: replies.backend });
  let taken = 0;
  rival.events$.subscribe((event) => {
    if (event.type === 'lock-lost') taken++;
  });
  let done = 0;
  const stem = uniqueKey('release');
  while (done < options.count && !isOver(options)) {
    const numbers = Array.from({ length: Math.min(TOGETHER, options.count - done) }, (_, i) => done + i);
    const held = await Promise.all(
      numbers.map((number) => round(ours, rival, replies, `${stem}/${number}`, number)),
    );
    const left = (await operator.query({ prefix: `${stem}/` }, { signal: live })).records;
    const theirs = held.filter((grant) => grant !== undefined);
    assert.equal(
      theirs.filter((grant) => grant.held).length,
      theirs.length,
      'a lock of somebody else was released',
    );
    assert.deepEqual(
      left.map(({ key, revision }) => `${key} ${revision}`).toSorted(),
      theirs
        .map(({ isOwner }) => ('revision' in isOwner ? `${isOwner.key} ${isOwner.revision}` : ''))
        .toSorted(),
    );
    await Promise.all(theirs.map((grant) => grant.release()));
    done += numbers.length;
    options.onProgress?.(done);
  }
  assert.equal(taken, 0);
  assert(replies.lost >= done, 'replies were lost');
  const figures =
    `${done} releases on ${world.name} (${operator.traits.contention}) without a reply, ${replies.repeated} repeated, ` +
    `${replies.taken} after somebody else took the lock: ${taken} releases of others`;
  return { done, figures };
}

/** Resolves to the grant of who took the lock meanwhile. */
async function round(
  ours: SyncManager,
  rival: SyncManager,
  replies: LostReplies,
  key: string,
  number: number,
): Promise<Grant | undefined> {
  const grant = await ours.acquire(key);
  const kind = kinds[number % kinds.length];
  let theirs: Promise<Grant> | undefined;
  if (kind === 'the next in line takes the lock') {
    theirs = rival.lock(key).lock();
    await stateOf(rival.lock(key), 'waiting');
  }
  let happened = false;
  replies.lose(grant.isOwner.key, 1 + (number % 2), async () => {
    if (kind === 'nobody takes the lock' || happened) return;
    happened = true;
    theirs ??= rival.acquire(key);
    await theirs;
    replies.taken++;
  });
  // Never rejects, and resolves when nothing of ours is left.
  await grant.release();
  return await theirs;
}

/** A client that does not hear of some of its removals. */
class LostReplies {
  readonly backend: Backend;
  lost = 0;
  repeated = 0;
  taken = 0;
  readonly #plans = new Map<string, { times: number; readonly after: () => Promise<void> }>();

  constructor(inner: Backend) {
    this.backend = withVerbs(inner, {
      commit: async (commit, signal) => {
        const result = await inner.commit(commit, signal);
        const removed = removedBy(commit);
        const plan = removed === undefined ? undefined : this.#plans.get(removed);
        if (removed === undefined || plan === undefined) return result;
        if (plan.times-- === 0) {
          this.#plans.delete(removed);
          this.repeated++;
          return result;
        }
        await plan.after();
        this.lost++;
        throw new SyncError('unavailable', 'the reply was lost');
      },
    });
  }

  /** The next `times` removals of this record are carried out, then `after` happens, and then their replies are lost. */
  lose(record: string, times: number, after: () => Promise<void>): void {
    this.#plans.set(record, { times, after });
  }
}

function removedBy({ then }: Commit): string | undefined {
  const [mutation] = then;
  return mutation?.remove;
}
