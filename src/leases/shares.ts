import type { Worker } from './snapshot.ts';

/** What is less than this of an item comes from the arithmetic. */
const TINY = 1e-9;

/**
 * How many items each worker should have. Whole shares by weight, none above its maximum. Where shares cannot be equal, those who
 * have more already keep more, so that as few as possible move; then those who came last have more, since in a rolling deploy the
 * others go soon. It is the same for everybody who sees the same.
 */
export function quotas(
  workers: readonly Worker[],
  held: ReadonlyMap<string, number>,
  items: number,
): Map<string, number> {
  const quota = new Map<string, number>(workers.map(({ member }) => [member, 0]));
  let open = workers.filter(({ weight, maxItems }) => weight > 0 && maxItems > 0);
  let left = items;
  // Whoever is at its maximum leaves the rest to the others.
  for (;;) {
    const weight = open.reduce((sum, worker) => sum + worker.weight, 0);
    const full = open.filter((worker) => worker.maxItems <= Math.floor((left * worker.weight) / weight));
    if (full.length === 0) break;
    for (const { member, maxItems } of full) {
      quota.set(member, maxItems);
      left -= maxItems;
    }
    open = open.filter((worker) => !full.includes(worker));
  }
  const weight = open.reduce((sum, worker) => sum + worker.weight, 0);
  const shares = open.map((worker) => ({ worker, exact: (left * worker.weight) / weight }));
  for (const { worker, exact } of shares) quota.set(worker.member, Math.floor(exact));
  let rest = left - shares.reduce((sum, { exact }) => sum + Math.floor(exact), 0);
  const surplus = ({ worker, exact }: (typeof shares)[number]): number =>
    (held.get(worker.member) ?? 0) - Math.floor(exact);
  const isWhole = ({ exact }: (typeof shares)[number]): boolean => exact % 1 < TINY;
  const order = shares.toSorted(
    (a, b) =>
      Number(isWhole(a)) - Number(isWhole(b)) ||
      surplus(b) - surplus(a) ||
      (b.exact % 1) - (a.exact % 1) ||
      Number(b.worker.joined - a.worker.joined) ||
      (a.worker.member < b.worker.member ? -1 : 1),
  );
  for (const { worker } of order) {
    if (rest <= 0) break;
    const now = quota.get(worker.member) ?? 0;
    if (now + 1 > worker.maxItems) continue;
    quota.set(worker.member, now + 1);
    rest -= 1;
  }
  return quota;
}

/**
 * How well a member suits an item: the same number for everybody (rendezvous hashing, Thaler and Ravishankar 1998). FNV-1a, and
 * the last step of MurmurHash3, without which members that are alike would suit the same items.
 */
export function score(item: string, member: string): number {
  let hash = 0x811c9dc5;
  for (const text of [item, member]) {
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    hash = Math.imul(hash ^ 0xff, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** How many of the others suit the item better. */
export function rank(item: string, member: string, others: Iterable<string>): number {
  const own = score(item, member);
  let before = 0;
  for (const other of others) {
    if (other === member) continue;
    const its = score(item, other);
    if (its > own || (its === own && other < member)) before += 1;
  }
  return before;
}

/** Milliseconds between the tries of those who suit an item best. */
const CLOSE = 20;
/** How many of them try so soon. */
const FEW = 3;

/**
 * After how many milliseconds a free item is tried by the one of this rank, if it is free then. The first have it at once, most
 * often; whoever comes later tries for those that are frozen or dead, and nobody hammers what cannot be had.
 *
 * @param pace milliseconds between the tries of all others.
 */
export function patienceOf(rank: number, pace: number): number {
  return rank < FEW ? rank * CLOSE : (FEW - 1) * CLOSE + (rank - FEW + 1) * pace;
}

/** After how many milliseconds it is tried again by the same one, so that all together keep the pace. */
export function pauseOf(candidates: number, pace: number): number {
  return Math.max(1, candidates) * pace;
}

const PACE = 100;
const PACE_WITH_LOCK_DELAY = 1_000;

/** Where the store may hold back what nobody has, for seconds, tries are spread further. */
export function paceOf(maxLockDelay: number): number {
  return maxLockDelay > 0 ? PACE_WITH_LOCK_DELAY : PACE;
}
