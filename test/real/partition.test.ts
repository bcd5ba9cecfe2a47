import { setTimeout as sleep } from 'node:timers/promises';
import { etcd } from 'holdfast/etcd';
import { expect, test } from 'vitest';
import { busy } from '../busy.ts';
import { lossesByGrant, Managers, stateOf, uniqueKey } from '../scenarios/world.ts';
import type { EtcdServer } from '../servers/etcd.ts';
import { Cluster } from '../soak/cluster.ts';
import { Traffic } from '../soak/traffic.ts';
import { PeerNetwork } from './peer-network.ts';
import { recorded } from './recorded.ts';
import { suspend } from './stopped.ts';

const TTL = 3_000;
const MARGIN = TTL / 10;

interface Cut {
  readonly of: 'leader' | 'follower';
  /** Resolves to what undoes it. */
  readonly begin: (cluster: Cluster, member: EtcdServer) => Promise<() => Promise<void>>;
  /** Milliseconds that it lasts at least. */
  readonly lasts?: number;
  readonly prepare?: (cluster: Cluster) => Promise<AsyncDisposable>;
}

const networks = new WeakMap<Cluster, PeerNetwork>();

async function connectThrough(cluster: Cluster): Promise<PeerNetwork> {
  const network = await PeerNetwork.between(cluster);
  networks.set(cluster, network);
  return network;
}

async function isolate(cluster: Cluster, member: EtcdServer): Promise<() => Promise<void>> {
  const network = networks.get(cluster) as PeerNetwork;
  network.isolate(member);
  return async () => network.heal();
}

const cuts: Record<string, Cut> = {
  'a leader that the others do not reach': { of: 'leader', prepare: connectThrough, begin: isolate },
  'a follower that the others do not reach': { of: 'follower', prepare: connectThrough, begin: isolate },
  'a leader stopped for 5 s that goes on as if nothing had been': {
    of: 'leader',
    lasts: 5_000,
    begin: async (_, member) => {
      await suspend(member);
      return () => member.kill('SIGCONT');
    },
  },
};

// One after the other: each has three servers and traffic of its own.
test.each(Object.entries(cuts))(
  'who knows only %s does not believe past the deadline; the others go on, and nobody holds twice',
  async (name, cut) => {
    await using cluster = await Cluster.start();
    await using _network = await cut.prepare?.(cluster);
    const leader = await cluster.leader();
    const member = cut.of === 'leader' ? leader : (cluster.others(leader)[0] as EtcdServer);
    const hosts = cluster.others(member).map(({ address }) => address);
    const backend = () => etcd({ hosts });
    await using managers = new Managers({ name, ttl: TTL, lockDelay: 0, backend });
    const { backend: lonely, calls } = recorded(etcd({ hosts: member.address }));
    const key = uniqueKey('cut');
    const ours = managers.make({ backend: lonely }).lock(key);
    const theirs = managers.make().lock(key);
    const both: string[] = [];
    for (const [one, other] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      one.state$.subscribe((state) => {
        if (state.name === 'held' && other.held) both.push(`token ${state.token}`);
      });
    }
    const lossOf = lossesByGrant(ours);
    const first = await ours.lock();
    await theirs.tryLock();
    await using traffic = new Traffic([managers.make(), managers.make()], 20_000);
    await traffic.flows();

    const taken = stateOf(theirs, 'held').then(() => performance.now());
    const begun = performance.now();
    const undo = await cut.begin(cluster, member);
    const lost = await lossOf(first);
    const proofs = calls.filter(
      ({ verb, ended, refused }) => /^(open|renew)Session$/.test(verb) && ended && !refused,
    );
    const deadline = Math.max(...proofs.map(({ sent }) => sent)) + TTL - MARGIN;
    expect(lost.reason).toBe('deadline');
    expect(lost.at).toBeLessThan(deadline + busy());
    expect(first.held).toBe(false);
    expect(await taken).toBeGreaterThan(lost.at);
    const second = await theirs.lock();
    expect(second.token).toBeGreaterThan(first.token);
    await traffic.flows();

    await sleep(begun + (cut.lasts ?? 0) - performance.now());
    await undo();
    await theirs.release();
    const third = await ours.lock({ timeout: 20_000 });
    expect(third.token).toBeGreaterThan(second.token);
    expect([both, first.held, second.held]).toEqual([[], false, false]);
    await traffic.flows();
    console.info(
      `etcd, ${name}: told ${Math.round((await taken) - lost.at)} ms before the next holder, ${traffic.count} acquires of ` +
        `others with at most ${Math.round(traffic.longestGap(begun))} ms without one`,
    );
  },
  300_000,
);
