import { once } from 'node:events';
import { Etcd3 } from 'etcd3';
import type { Grant } from 'holdfast';
import { expect, test } from 'vitest';
import { busy } from '../busy.ts';
import { lossesByGrant, next, sessionOf, stateOf, uniqueKey, until } from '../scenarios/world.ts';
import { type Call, recorded } from './recorded.ts';
import { Site, TTL } from './site.ts';
import { stores } from './stores.ts';

const MARGIN = TTL / 10;

/** When the session may no longer be believed in, counted from the last renewal that had an answer. */
function deadlineOf(calls: readonly Call[]): number {
  const renewals = calls.filter(({ verb }) => verb === 'openSession' || verb === 'renewSession');
  const answered = renewals.filter(({ ended, refused }) => ended !== undefined && refused === undefined);
  return (answered.at(-1)?.sent ?? Number.NaN) + TTL - MARGIN;
}

const rounded = (ms: number): string => `${Math.round(ms)} ms`;

const cuts = [
  ['FAULTS 5', 'both'],
  ['FAULTS 6', 'requests'],
  ['FAULTS 6', 'replies'],
] as const;

test.concurrent.each(stores.flatMap((store) => cuts.map((cut) => [...cut, store] as const)))(
  '%s: with %s silently lost on %s, the holder is told by its deadline, and before anybody else holds',
  async (row, cut, store) => {
    await using site = await Site.open(store);
    const { proxy, managers } = site;
    const key = uniqueKey('silent');
    const { backend, calls } = recorded(site.connect());
    const holder = site.remote({ backend });
    const lock = holder.lock(key);
    const lossOf = lossesByGrant(lock);
    const grant = await lock.lock();
    const session = await sessionOf(holder);
    const rival = managers.make().lock(key);
    await rival.tryLock();
    // Not only what opening the session has proved.
    await until(() => calls.some(({ verb, ended }) => verb === 'renewSession' && ended !== undefined));

    const cutAt = performance.now();
    proxy.set({ cut });
    const expired = site.expiry(grant.isOwner.key, session);
    const taken = stateOf(rival, 'held').then(() => performance.now());
    const lost = await lossOf(grant).then((loss) => ({ ...loss, deadline: deadlineOf(calls) }));
    expect(lost.reason).toBe('deadline');
    expect([grant.held, grant.signal.aborted]).toEqual([false, true]);
    expect(lost.at - lost.deadline).toBeGreaterThan(-5);
    expect(lost.at - lost.deadline).toBeLessThan(50 + busy());
    expect(lost.at - cutAt).toBeLessThan(TTL - MARGIN + 50 + busy());
    const [expiredAt, takenAt] = await Promise.all([expired, taken]);
    expect(expiredAt).toBeGreaterThan(lost.at);
    expect(takenAt).toBeGreaterThan(lost.at);
    const figure = `told ${rounded(lost.at - lost.deadline)} after the deadline`;
    console.info(
      `${row} ${store}, ${cut} lost: ${figure}, ${rounded(expiredAt - lost.at)} before the server let go, ` +
        `${rounded(takenAt - lost.at)} before the next holder`,
    );
  },
);

test.concurrent.each(stores)(
  'FAULTS 5: under one and the same silent cut from %s, ours is lost before the server lets go',
  async (store) => {
    await using site = await Site.open(store);
    const lock = site.remote().lock(uniqueKey('compared'));
    const grant = await lock.lock();
    await using peer = store === 'etcd' ? await npmLease(site) : undefined;
    const session = await recordOwner(site, grant);
    // Both have been renewed at least once.
    await new Promise((resolve) => setTimeout(resolve, TTL / 2));

    const cutAt = performance.now();
    site.proxy.set({ cut: 'both' });
    const since = (what: Promise<unknown>): Promise<number> => what.then(() => performance.now() - cutAt);
    const [ours, server, theirs, theirServer] = await Promise.all([
      since(next(lock.lost$, () => true)),
      since(site.expiry(grant.isOwner.key, session)),
      peer && since(peer.lost),
      peer && since(peer.expired()),
    ]);
    expect(ours).toBeLessThan(server);
    const npm =
      theirs !== undefined && theirServer !== undefined
        ? `; the lease of npm etcd3 lost at +${rounded(theirs)}, the server's expiry of it at +${rounded(theirServer)}`
        : '';
    console.info(
      `FAULTS 5 ${store}, TTL ${TTL} ms: ours lost at +${rounded(ours)}, the server's expiry at +${rounded(server)}${npm}`,
    );
  },
);

async function recordOwner(site: Site, grant: Grant): Promise<string> {
  const [record] = await site.records(grant.isOwner.key);
  if (record?.session === undefined) throw new Error('nobody holds');
  return record.session;
}

/** A lease of the package etcd3, kept alive through the same network, with a key on it. */
async function npmLease(site: Site) {
  const client = new Etcd3({
    hosts: site.proxy.address,
    grpcOptions: { 'grpc.keepalive_time_ms': 10_000 },
  });
  const lease = client.lease(TTL / 1_000);
  const key = uniqueKey('npm');
  await lease.put(key).value('theirs');
  const id = BigInt(await lease.grant()).toString(16);
  return {
    lost: once(lease, 'lost'),
    expired: () => site.expiry(key, id),
    async [Symbol.asyncDispose]() {
      lease.release();
      client.close();
    },
  };
}
