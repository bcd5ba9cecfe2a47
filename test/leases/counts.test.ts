import { type Backend, type JsonValue, SyncManager } from 'holdfast';
import { type Lease, LeasePool } from 'holdfast/leases';
import { MemoryStore, memory } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { aborted } from '../scenarios/world.ts';
import { withVerbs } from '../with-verbs.ts';

/** Pools of one name on the virtual clock, each with a manager of its own, and what they ask of the store. */
class Crew {
  readonly clock = new VirtualClock();
  readonly store: MemoryStore;
  readonly pools: LeasePool[] = [];
  readonly #managers: SyncManager[] = [];
  /** Commits that go for an item. */
  tries = 0;
  commits = 0;
  readonly #lockDelay: number;

  constructor(contention: 'queue' | 'race' = 'queue', lockDelay = 0) {
    this.store = new MemoryStore({ clock: this.clock, contention });
    this.#lockDelay = lockDelay;
  }

  /** As an operator does. */
  async destroySessionOf(lease: Lease<JsonValue, JsonValue>): Promise<void> {
    await using backend = memory({ store: this.store });
    const { signal } = new AbortController();
    const { records } = await backend.query({ key: lease.isOwner.key }, { signal });
    await backend.closeSession(records[0]?.session ?? '', signal);
  }

  add(): LeasePool {
    const backend = memory({ store: this.store });
    const counted: Backend = withVerbs(backend, {
      commit: (commit, signal) => {
        if (commit.then.length > 0) this.commits += 1;
        if (commit.then.some(({ put }) => put?.includes('/held/'))) this.tries += 1;
        return backend.commit(commit, signal);
      },
    });
    const sync = new SyncManager({
      name: 'svc',
      backend: counted,
      clock: this.clock,
      session: { ttl: 10_000, lockDelay: this.#lockDelay },
    });
    const pool = new LeasePool(sync, { prefix: 'pool' });
    this.#managers.push(sync);
    this.pools.push(pool);
    return pool;
  }

  /** Lets time pass until it is settled. */
  async run<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const over = (): void => {
      settled = true;
    };
    work.then(over, over);
    await this.clock.runUntil(() => settled);
    return await work;
  }

  async stop(): Promise<void> {
    await this.run(Promise.all(this.#managers.map((sync) => sync.stop())));
  }
}

test('one item is freed and 100 processes wait: at most 3 tries, and 5 writes in all', async () => {
  const crew = new Crew();
  const holder = crew.add();
  await crew.run(holder.add({ id: 'a', attributes: null }));
  const lease = await crew.run(holder.obtain({ lesseeId: 'holder' }));
  const served: string[] = [];
  const waiting = Array.from({ length: 100 }, async (_, n) => {
    const its = await crew.add().waitUntilObtained({ lesseeId: `w${n}` });
    served.push(its.lesseeId);
    return its;
  });
  await crew.clock.advance(5_000);
  expect(crew.tries).toBe(1);
  const before = { tries: crew.tries, commits: crew.commits };
  await crew.run(lease.release());
  await crew.run(Promise.race(waiting));
  await crew.clock.advance(500);
  expect(served.length).toBe(1);
  expect(crew.tries - before.tries).toBeLessThanOrEqual(3);
  expect(crew.commits - before.commits).toBeLessThanOrEqual(5);
  const left = Promise.allSettled(waiting);
  await crew.stop();
  await left;
  expect(crew.clock.pending).toBe(0);
});

test('what cannot be had is tried at most once a second, by all together', async () => {
  const crew = new Crew('race', 60_000);
  const holder = crew.add();
  await crew.run(holder.add({ id: 'a', attributes: null }));
  const lease = await crew.run(holder.obtain({ lesseeId: 'holder' }));
  const waiting = Array.from({ length: 20 }, (_, n) =>
    crew
      .add()
      .waitUntilObtained({ lesseeId: `w${n}` })
      .catch(() => undefined),
  );
  await crew.clock.advance(5_000);
  const before = crew.tries;
  // As after a crash: the store holds the key back for its lock-delay.
  await crew.destroySessionOf(lease);
  await crew.clock.advance(30_000);
  expect(crew.tries - before).toBeGreaterThan(10);
  expect(crew.tries - before).toBeLessThanOrEqual(34);
  await crew.stop();
  await Promise.all(waiting);
});

test('a handler that rejects with the reason it was told has not failed: its item is not left alone for that', async () => {
  const crew = new Crew();
  const pool = crew.add();
  await crew.run(pool.add({ id: 'a', attributes: null }));
  const failures: unknown[] = [];
  pool.events$.subscribe((event) => {
    if (event.type === 'handler-failed') failures.push(event.error);
  });
  const begun: Lease<JsonValue, JsonValue>[] = [];
  const fleet = pool.work({ lesseeId: 'w', backoff: [50_000, 60_000] }, async (lease) => {
    begun.push(lease);
    await new Promise((_, reject) =>
      lease.signal.addEventListener('abort', () => reject(lease.signal.reason)),
    );
  });
  await crew.clock.runUntil(() => begun.length === 1);
  const lost = crew.clock.now();
  await crew.run(crew.destroySessionOf(begun[0] as Lease<JsonValue, JsonValue>));
  await crew.clock.runUntil(() => begun.length === 2);
  expect(crew.clock.now() - lost).toBeLessThan(15_000);
  await crew.run(fleet.stop());
  expect(failures).toEqual([]);
  await crew.stop();
});

test('a worker whose key the store holds back is seen as soon as it can be', async () => {
  const crew = new Crew('race', 5_000);
  const pool = crew.add();
  await crew.run(pool.add({ id: 'a', attributes: null }));
  const seen = (): number => crew.store.records('leases/pool/workers/').length;
  const held = async () => {
    const fleet = pool.balance({}, (lease) => aborted(lease.yielding));
    await crew.clock.runUntil(() => seen() === 1 && pool.status.held === 1);
    return fleet;
  };
  const fleet = await held();
  const [record] = crew.store.records('leases/pool/workers/');
  crew.store.destroySession(record?.session ?? '');
  // It leaves and comes again, while its key is held back for the session that was lost.
  await crew.run(fleet.stop());
  const since = crew.clock.now();
  await held();
  expect(crew.clock.now() - since).toBeGreaterThan(1_000);
  expect(crew.clock.now() - since).toBeLessThan(10_000);
  await crew.stop();
});
