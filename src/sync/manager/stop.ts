import { within } from '../../async/within.ts';
import { SyncError } from '../../contract/errors.ts';
import type { Leadership } from '../leadership/leadership.ts';
import type { Parts } from './parts.ts';

/** By which part of its bound each step of a stop is over, whatever it takes: the work of the leader and of what stands on the manager, the releases, the close of the session. */
const WORK_SHARE = 0.3;
const RELEASES_SHARE = 0.8;
const CLOSING_SHARE = 0.95;

/** A manager that is to be ended. */
export interface Ending {
  readonly parts: Parts;
  /** If it was ever asked for. */
  readonly leadership: Leadership | undefined;
  /** Told when the work has ended that may still write: what only a leader does, and what stands on the manager. */
  workEnded(): void;
}

/** Ends a manager in good order, and within `bound` milliseconds: nothing waits for what does not answer. Never rejects. */
export async function end(ending: Ending, bound: number): Promise<void> {
  const { parts } = ending;
  const { host, longHolds, events, tasks, holders, views, queues, claims, locks } = parts;
  const { clock, keeper, removals, unwatched, patience, lookTimes } = host;
  const begun = clock.now();
  const until = (share: number, work: Promise<unknown>): Promise<void> =>
    within(clock, begun + share * bound - clock.now(), work);
  holders.stop();
  views.stop();
  removals.bound();
  rejectAll(parts);
  // Keys before the session: closing a Consul session that holds keys starts their lock-delay.
  await until(RELEASES_SHARE, releaseAll(ending, bound * WORK_SHARE));
  for (const queue of queues) queue.stop();
  for (const claiming of claims) claiming.stop();
  for (const timers of [unwatched, patience, lookTimes, longHolds]) timers.stop();
  await until(CLOSING_SHARE, keeper.stop());
  keeper.abandon();
  const disposed = dispose(parts);
  await until(
    1,
    disposed.then(() => tasks.settled()),
  );
  for (const lock of locks) lock.complete();
  events.complete();
}

async function dispose({ host, events }: Parts): Promise<void> {
  try {
    await host.backend[Symbol.asyncDispose]();
  } catch (error) {
    events.trouble(error);
  }
}

/** Everybody who waits is told at once, however long the releases take. */
function rejectAll({ options, openCalls, locks }: Parts): void {
  const stopped = new SyncError('stopped', `the manager "${options.name}" was stopped`);
  for (const call of [...openCalls]) call.refused(stopped);
  for (const lock of locks) lock.rejectCalls(stopped);
}

/** What stands on the manager, and what only the leader does, ends before there can be another one. */
async function releaseAll({ parts, leadership, workEnded }: Ending, workBound: number): Promise<void> {
  const { host, stages, claims, owned, queries } = parts;
  const own = leadership?.lock.key;
  const work = async (): Promise<void> => {
    const leading = leadership === undefined ? undefined : within(host.clock, workBound, leadership.stop());
    await Promise.all([leading, stages.run(workBound)]);
    workEnded();
    // Of those that the work has begun, too.
    rejectAll(parts);
    queries.stop();
    const releases = [...claims].map((claiming) => claiming.drain());
    await Promise.all([release(parts, (key) => key === own), owned.drain(), ...releases]);
  };
  await Promise.all([work(), release(parts, (key) => key !== own)]);
}

async function release({ host, queues, locks }: Parts, chosen: (key: string) => boolean): Promise<void> {
  const releases: Promise<void>[] = [];
  // Everything ends before anybody is told of it, and nothing is watched while the records are removed.
  host.notifications.during(() => {
    // First, so that a standing lock hands nothing on to who waits behind it.
    for (const queue of queues) if (chosen(queue.key)) releases.push(queue.drain());
    for (const lock of locks) if (chosen(lock.key)) releases.push(lock.release());
  });
  await Promise.all(releases);
}
