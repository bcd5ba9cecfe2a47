import type { Backend } from 'holdfast';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { live, stateOf, uniqueKey, until } from '../scenarios/world.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type Verbs, withVerbs } from '../with-verbs.ts';
import { recorded } from './recorded.ts';
import { Site, TTL } from './site.ts';
import { stores } from './stores.ts';

// A server of its own: compaction is for everybody.
let server: EtcdServer;

beforeAll(async () => {
  server = await startEtcd();
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** Writes something, and compacts away everything before it: also the first revision after what was read last. */
async function compact(): Promise<void> {
  await server.etcdctl(['put', uniqueKey('noise'), 'x']);
  const put = await server.etcdctl(['put', uniqueKey('noise'), 'x', '-w', 'json']);
  const { revision } = (JSON.parse(put.stdout) as { header: { revision: number } }).header;
  const compacted = await server.etcdctl(['compact', String(revision)]);
  expect(compacted).toMatchObject({ code: 0 });
}

/** The same backend, with its blocking queries in the hands of the test. */
function intercepted(backend: Backend, query: Backend['query'], verbs: Verbs = {}): Backend {
  return withVerbs(backend, {
    ...verbs,
    query: (scope, options) =>
      options.since === undefined ? backend.query(scope, options) : query(scope, options),
  });
}

test('FAULTS 22: etcd compacted before a watch begins: it reads again within 1 s, and watches again', async () => {
  await using site = await Site.open('etcd', { address: server.address });
  const key = uniqueKey('compacted');
  const times: number[] = [];
  // The first watch is held up until what it waits for has happened, and been compacted away.
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  let watches = 0;
  const direct = site.connect();
  const backend = intercepted(direct, async (scope, options) => {
    watches++;
    await gate;
    return direct.query(scope, options);
  });
  const [first, second] = [site.managers.make(), site.managers.make()];
  const grant = await first.acquire(key);
  const behind = second.acquire(key);
  await until(async () => (await site.records(`${key}/`)).length === 2);
  const lock = site.remote({ backend }).lock(key);
  await lock.tryLock();
  await until(() => watches === 1);

  // The one between leaves: what the watch begins with is history that is gone.
  await grant.release();
  await (await behind).release();
  await compact();
  const openedAt = performance.now();
  open();
  await stateOf(lock, 'held');
  times.push(performance.now() - openedAt);
  expect(times[0]).toBeLessThan(slowed(1_000));

  // A watch at a revision that is gone, with nothing to be told: it watches again, and is woken by the next change.
  const { at } = await direct.query({ key }, { signal: live });
  await compact();
  let result = await direct.query({ key }, { since: at, wait: 10_000, signal: live });
  const again = direct.query({ key }, { since: result.at, wait: 10_000, signal: live });
  const changedAt = performance.now();
  await site.operator.commit({ when: [], then: [{ put: key, value: new Uint8Array([1]) }] }, live);
  result = await again;
  times.push(performance.now() - changedAt);
  expect(result.records).toHaveLength(1);
  expect(times[1]).toBeLessThan(slowed(1_000));
  await site.operator.commit({ when: [], then: [{ remove: key }] }, live);
  console.info(
    `FAULTS 22 etcd: held ${Math.round(times[0] ?? 0)} ms after a compacted watch; woken ${Math.round(times[1] ?? 0)} ms after`,
  );
});

test('FAULTS 22: etcd compacted while many watch, and their connections reset: each hand-off within 1 s', async () => {
  await using site = await Site.open('etcd', { address: server.address });
  const key = uniqueKey('running');
  const waiter = site.remote();
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const grant = await site.managers.make().acquire(key);
    const lock = waiter.lock(key);
    await lock.tryLock();
    await stateOf(lock, 'waiting');
    site.proxy.set({ cut: 'both' });
    // Released, compacted, and the watch cut off before it could hear of either.
    await grant.release();
    await compact();
    site.proxy.reset();
    site.proxy.heal();
    const healedAt = performance.now();
    await stateOf(lock, 'held');
    times.push(performance.now() - healedAt);
    await lock.release();
  }
  expect(Math.max(...times)).toBeLessThan(slowed(1_000));
  console.info(
    `FAULTS 22 etcd: held at most ${Math.round(Math.max(...times))} ms after compaction and a reset`,
  );
});

test.concurrent.each(stores)(
  'FAULTS 22: a watch event of %s that never arrives: a safety re-read at least every TTL',
  async (store) => {
    await using site = await Site.open(store, store === 'etcd' ? { address: server.address } : {});
    const key = uniqueKey('unheard');
    const waits: number[] = [];
    let watches = 0;
    const direct = site.connect();
    // As if every event got lost on its way: a query ends by its bound alone, and a watch never.
    const query: Backend['query'] = async (scope, { wait = 60_000, signal }) => {
      waits.push(wait);
      await new Promise((resolve) => setTimeout(resolve, wait));
      return direct.query(scope, { signal });
    };
    const watch = (): (() => void) => {
      watches++;
      return () => {};
    };
    const backend = intercepted(direct, query, { watch });
    const grant = await site.managers.make().acquire(key);
    const lock = site.remote({ backend }).lock(key);
    await lock.tryLock();
    await until(() => waits.length > 0);
    const releasedAt = performance.now();
    await grant.release();
    const mine = await lock.lock();
    const heldAfter = performance.now() - releasedAt;
    expect(heldAfter).toBeLessThan(slowed(TTL));

    // Nor does a holder miss for longer that its record is gone.
    await until(() => watches > 0);
    const removedAt = performance.now();
    await site.operator.commit({ when: [], then: [{ remove: mine.isOwner.key }] }, live);
    await until(() => mine.signal.aborted);
    const toldAfter = performance.now() - removedAt;
    expect(toldAfter).toBeLessThan(slowed(TTL));
    expect(Math.max(...waits)).toBeLessThanOrEqual(TTL);
    console.info(
      `FAULTS 22 ${store}, no events, TTL ${TTL} ms: held ${Math.round(heldAfter)} ms after the release, ` +
        `loss of the record told after ${Math.round(toldAfter)} ms`,
    );
  },
);

test.concurrent.each(['its first read', 'its watch'] as const)(
  'FAULTS 22: the connection of a waiter on etcd falls silent for good under %s: it looks again over a new one within a TTL',
  async (under) => {
    await using site = await Site.open('etcd', { address: server.address });
    const key = uniqueKey('silent');
    const { backend, calls } = recorded(site.connect());
    const grant = await site.managers.make().acquire(key);
    const lock = site.remote({ backend }).lock(key);
    await lock.tryLock();
    await stateOf(lock, 'waiting');
    const reads = () => calls.filter(({ verb }) => verb === 'query');
    // A watch follows the read that is done.
    if (under === 'its watch') await until(() => reads().length > 1);
    site.proxy.silence();
    const silentAt = performance.now();
    await grant.release();
    await stateOf(lock, 'held');
    const after = performance.now() - silentAt;
    expect(after).toBeLessThan(slowed(TTL));
    console.info(`FAULTS 22 etcd, silent under ${under}: held after ${Math.round(after)} ms, TTL ${TTL} ms`);
  },
);
