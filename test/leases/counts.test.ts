import { type Backend, SyncManager } from 'holdfast';
import { LeasePool } from 'holdfast/leases';
import { MemoryStore, memory } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { withVerbs } from '../with-verbs.ts';

/** Pools of one name on the virtual clock, each with a manager of its own, and what they ask of the store. */
class Crew {
  readonly clock = new VirtualClock();
  readonly store = new MemoryStore({ clock: this.clock });
  readonly pools: LeasePool[] = [];
  readonly #managers: SyncManager[] = [];
  /** Commits that go for an item. */
  tries = 0;
  commits = 0;
  queries = 0;

  add(): LeasePool {
    const backend = memory({ store: this.store });
    const counted: Backend = withVerbs(backend, {
      query: (scope, options) => {
        this.queries += 1;
        return backend.query(scope, options);
      },
      commit: (commit, signal) => {
        if (commit.then.length > 0) this.commits += 1;
        if (commit.then.some(({ put }) => put?.includes('/held/'))) this.tries += 1;
        return backend.commit(commit, signal);
      },
    });
    const sync = new SyncManager({ name: 'svc', backend: counted, clock: this.clock });
    const pool = new LeasePool(sync, { prefix: 'pool' });
    this.#managers.push(sync);
    this.pools.push(pool);
    return pool;
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.runUntil(work);
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
  for (const call of waiting) call.catch(() => undefined);
  await crew.stop();
  expect(crew.clock.pending).toBe(0);
});

test('what cannot be had is tried once a second by all together, at most', async () => {
  const crew = new Crew();
  const operator = crew.add();
  await crew.run(operator.add({ id: 'a', attributes: null }));
  const controller = new AbortController();
  const waiting = Array.from({ length: 20 }, (_, n) =>
    crew
      .add()
      .waitUntilObtained({ lesseeId: `w${n}`, signal: controller.signal })
      .catch(() => undefined),
  );
  await crew.clock.advance(1_000);
  await crew.stop();
  await Promise.all(waiting);
  expect(crew.clock.pending).toBe(0);
});
