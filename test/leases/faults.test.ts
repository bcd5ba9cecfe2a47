import { LeasePool } from 'holdfast/leases';
import { expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { Site, TTL } from '../real/site.ts';
import { type Store, stores } from '../real/stores.ts';
import { aborted, uniqueKey, until } from '../scenarios/world.ts';

const ITEMS = 12;

/** Milliseconds within which a lost item is in work again (FAULTS, row 29). */
const bound: Record<Store, number> = { etcd: TTL + 500, Postgres: TTL + 500, Consul: 2 * TTL + 1_000 };

type Pool = LeasePool<null, number>;

/** Works on what it gets until it is asked to finish, and tells what it has and how often items came to it. */
class Worker {
  readonly at = new Map<string, { held: boolean }>();
  readonly began: { readonly id: string; readonly at: number }[] = [];

  constructor(pool: Pool) {
    pool.balance({}, async (lease) => {
      this.at.set(lease.id, lease);
      this.began.push({ id: lease.id, at: performance.now() });
      try {
        await lease.checkpoint((lease.position ?? 0) + 1);
        await aborted(lease.yielding);
      } finally {
        this.at.delete(lease.id);
      }
    });
  }
}

async function fill(pool: Pool): Promise<void> {
  await pool.addAll(Array.from({ length: ITEMS }, (_, n) => ({ id: String(n), attributes: null })));
}

test.concurrent.each(stores)(
  'LF6: a worker that is cut off from %s believes in nothing after its deadline, and its items are elsewhere in time',
  async (store) => {
    await using site = await Site.open(store);
    const prefix = uniqueKey('pool');
    const far = site.managers.make({ backend: site.connect() });
    const lost = new LeasePool<null, number>(far, { prefix });
    await fill(lost);
    const there = new Worker(lost);
    const near = new Worker(new LeasePool(site.managers.make(), { prefix }));
    await until(() => there.at.size === ITEMS / 2 && near.at.size === ITEMS / 2);
    const leases = [...there.at.values()];
    const cut = performance.now();
    site.proxy.conditions = { cut: 'both', delay: 0, bytesPerSecond: Infinity };
    await until(() => near.at.size === ITEMS);
    const took = Math.max(...near.began.map(({ at }) => at)) - cut;
    expect(leases.some(({ held }) => held)).toBe(false);
    console.info(
      `LF6 ${store}: all items elsewhere ${Math.round(took)} ms after the cut, of ${bound[store]}`,
    );
    expect(took).toBeLessThan(slowed(bound[store]));
    site.proxy.conditions = { cut: 'none', delay: 0, bytesPerSecond: Infinity };
    site.proxy.reset();
    // Back again, it has its share.
    await until(() => there.at.size === ITEMS / 2);
  },
  120_000,
);

test.concurrent.each(stores)(
  'LF3: a rolling deploy of 10 workers on %s: no item waits for a TTL',
  async (store) => {
    await using site = await Site.open(store, { ttl: 10_000 });
    const prefix = uniqueKey('pool');
    const hire = () => {
      const sync = site.managers.make();
      return { sync, worker: new Worker(new LeasePool(sync, { prefix })) };
    };
    const operator: Pool = new LeasePool(site.managers.make(), { prefix });
    await fill(operator);
    const crew = Array.from({ length: 10 }, hire);
    const working = () => crew.reduce((sum, { worker }) => sum + worker.at.size, 0);
    await until(() => working() === ITEMS);
    const gaps: number[] = [];
    for (const { worker } of crew) worker.began.length = 0;
    // The new ones first, as deployments surge; then the old ones go.
    crew.push(...Array.from({ length: 10 }, hire));
    const all = [...crew];
    for (const old of crew.slice(0, 10)) {
      crew.shift();
      const begun = performance.now();
      const stopping = old.sync.stop();
      await until(() => working() === ITEMS);
      gaps.push(performance.now() - begun);
      await stopping;
    }
    const moved = all.flatMap(({ worker }) => worker.began.map(({ id }) => id));
    const most = Math.max(...moved.map((id) => moved.filter((other) => other === id).length));
    console.info(
      `LF3 ${store}: all in work again ${Math.round(Math.max(...gaps))} ms after a SIGTERM at the latest; an item moved at most ${most} times`,
    );
    expect(Math.max(...gaps)).toBeLessThan(slowed(5_000));
  },
  120_000,
);
