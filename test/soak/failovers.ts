import assert from 'node:assert/strict';
import type { Grant, SyncManager } from 'holdfast';
import { etcd } from 'holdfast/etcd';
import { Managers, sessionOf, uniqueKey } from '../scenarios/world.ts';
import { Cluster } from './cluster.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';
import { Traffic } from './traffic.ts';

export interface FailoverRound {
  /** From 1 on. */
  readonly round: number;
  /** The longest time without a successful acquire, in milliseconds. */
  readonly withoutService: number;
  /** The longest time for which a session was in doubt, in milliseconds; 0 if none was. */
  readonly suspended: number;
}

export interface FailoverOptions extends RowOptions {
  readonly onRound?: (round: FailoverRound) => void;
}

export interface FailoverResult extends RowResult, Omit<FailoverRound, 'round'> {
  /** Successful acquires. */
  readonly acquires: number;
}

/** The shortest with which a failover must not cost a lock, in milliseconds. */
const TTL = 6_000;
const HOLDERS = 3;
const LOCKS = 5;
/** Milliseconds, for everything that has to come back. It only ends a row that fails. */
const BOUND = 30_000;

/**
 * The leader of three etcd members is killed again and again, and started anew: no lock is lost, and others go on
 * acquiring. Every round ends with three healthy members.
 */
export async function failovers(options: FailoverOptions): Promise<FailoverResult> {
  await using cluster = await Cluster.start();
  const backend = () => etcd({ hosts: cluster.addresses });
  await using managers = new Managers({ name: 'etcd cluster', ttl: TTL, lockDelay: 0, backend });
  const holders = Array.from({ length: HOLDERS }, () => managers.make());
  const workers = [managers.make(), managers.make()];
  const lost: string[] = [];
  for (const manager of [...holders, ...workers]) {
    manager.events$.subscribe((event) => {
      if (event.type === 'lock-lost') lost.push(`${event.key}: ${event.reason}`);
    });
  }
  const grants = (await Promise.all(holders.map(takeSome))).flat();
  const doubts = [...holders, ...workers].map((manager) => new Doubts(manager));
  await using traffic = new Traffic(workers, BOUND);
  await traffic.flows(BOUND);

  const rounds: FailoverRound[] = [];
  for (let round = 1; round <= options.count && !isOver(options); round++) {
    const leader = await cluster.leader();
    const begun = performance.now();
    await leader.kill('SIGKILL');
    await cluster.leader(cluster.others(leader), BOUND);
    await traffic.flows(BOUND);
    // Resolves when the member follows the new leader and has caught up.
    await leader.restart();
    await traffic.flows(BOUND);
    await Promise.all([...holders, ...workers].map(sessionOf));

    assert.deepEqual(lost, [], 'locks were lost');
    assert.deepEqual(
      grants.filter(({ held }) => !held).map(({ key }) => key),
      [],
      'grants that are not held any more',
    );
    for (const doubt of doubts) assert.deepEqual(doubt.ended, [], 'sessions ended');
    const suspended = Math.max(...doubts.map((doubt) => doubt.longest(begun)));
    rounds.push({ round, withoutService: traffic.longestGap(begun), suspended });
    options.onRound?.(rounds.at(-1) as FailoverRound);
    options.onProgress?.(round);
  }
  assert.equal(traffic.timeouts, 0, 'acquires that were given up');
  assert(rounds.length > 0, 'no time for a single failover');
  return summary(rounds, traffic.count);
}

async function takeSome(manager: SyncManager): Promise<Grant[]> {
  const locks = Array.from({ length: LOCKS }, () => manager.lock(uniqueKey('kept')));
  return Promise.all(locks.map((lock) => lock.lock({ timeout: BOUND })));
}

function summary(rounds: readonly FailoverRound[], acquires: number): FailoverResult {
  const withoutService = Math.max(...rounds.map((round) => round.withoutService));
  const suspended = Math.max(...rounds.map((round) => round.suspended));
  const figures =
    `${rounds.length} leaders killed, ${HOLDERS * LOCKS} locks kept, ${acquires} acquires of others; at most ` +
    `${Math.round(withoutService)} ms without one, sessions suspended for at most ${Math.round(suspended)} ms`;
  return { done: rounds.length, figures, withoutService, suspended, acquires };
}

/** For how long a session was in doubt. */
class Doubts {
  readonly ended: string[] = [];
  readonly #spans: { readonly from: number; to: number }[] = [];

  constructor(manager: SyncManager) {
    manager.session$.subscribe((state) => {
      const last = this.#spans.at(-1);
      if (state.name === 'suspended') this.#spans.push({ from: performance.now(), to: Infinity });
      else if (last?.to === Infinity) last.to = performance.now();
      if (state.name === 'ended') this.ended.push(state.reason);
    });
  }

  /** In milliseconds, of those that began since then. */
  longest(since: number): number {
    const spans = this.#spans.filter(({ from }) => from >= since);
    return Math.max(0, ...spans.map(({ from, to }) => Math.min(to, performance.now()) - from));
  }
}
