import type { SyncManager } from 'holdfast';
import { type Lease, LeasePool, type LeasePoolOptions, type PoolEvent } from 'holdfast/leases';
import { describe, expect, test } from 'vitest';
import { aborted, live, Managers, sessionOf, uniqueKey, until, type World } from '../scenarios/world.ts';

interface Shard {
  readonly stream: string;
}

type Pool = LeasePool<Shard, number>;

/** What is promised of a pool of items, on every store. In brackets the cases that it is held against. */
export function leaseRules(world: World): void {
  describe.concurrent(`leases on ${world.name}`, () => {
    test('items outlive their leases: added, updated by their revision, listed by one read, removed', async () => {
      await using crew = new Crew(world);
      const pool = crew.pool();
      expect(await pool.addAll(shards(70))).toBe(70);
      expect(await pool.add({ id: '3', attributes: { stream: 'other' } })).toBe(false);
      const [item] = (await pool.list()).filter(({ id }) => id === '3');
      expect(item).toMatchObject({ attributes: { stream: 's3' }, position: undefined, holder: undefined });
      if (item === undefined) throw new Error('not there');
      const updated = await pool.update({ ...item, attributes: { stream: 'new' } });
      expect(updated?.attributes).toEqual({ stream: 'new' });
      expect(await pool.update({ ...item, attributes: { stream: 'late' } })).toBeUndefined();
      expect(await pool.remove('4')).toBe(true);
      expect(await pool.remove('4')).toBe(false);
      expect((await pool.list()).length).toBe(69);
      const seen: number[] = [];
      crew.pool().items$.subscribe((items) => seen.push(items.length));
      await until(() => seen.at(-1) === 69);
      await pool.add({ id: '4', attributes: { stream: 's4' } });
      await until(() => seen.at(-1) === 70);
    });

    test('one item, one lessee: attributes and position come along, and somebody else does not get it (I3, I4, K3)', async () => {
      await using crew = new Crew(world);
      const [a, b] = [crew.pool(), crew.pool()];
      await a.addAll(shards(1));
      const lease = await a.obtain({ lesseeId: 'a' });
      expect(lease).toMatchObject({ id: '0', lesseeId: 'a', held: true, position: undefined });
      expect(lease.item.attributes).toEqual({ stream: 's0' });
      expect(await a.lease('0', { lesseeId: 'a' })).toBe(lease);
      await expect(a.lease('0', { lesseeId: 'x' })).rejects.toMatchObject({ code: 'not-obtained' });
      // The same name in another process is no reason to share it.
      await expect(b.lease('0', { lesseeId: 'a' })).rejects.toMatchObject({ code: 'not-obtained' });
      await expect(b.obtain({ lesseeId: 'b' })).rejects.toMatchObject({ code: 'not-obtained' });
      await expect(b.lease('nothing', { lesseeId: 'b' })).rejects.toMatchObject({ code: 'not-obtained' });
      await lease.checkpoint(7);
      expect(await b.list()).toMatchObject([{ position: 7, holder: { lesseeId: 'a', token: lease.token } }]);
      await lease.release({ checkpoint: 8 });
      expect(lease).toMatchObject({ held: false, position: 8 });
      const next = await b.lease('0', { lesseeId: 'b' });
      expect(next.position).toBe(8);
      expect(next.token).toBeGreaterThan(lease.token);
      await expect(lease.checkpoint(9)).rejects.toMatchObject({ code: 'released' });
      await expect(lease.release({ checkpoint: 9 })).rejects.toMatchObject({ code: 'lost' });
      expect(await b.list()).toMatchObject([{ position: 8 }]);
    });

    test('the first is refused, so the second is had (I1); at most so many for a process', async () => {
      await using crew = new Crew(world);
      const [a, b] = [crew.pool(), crew.pool({ maxItems: 1 })];
      await a.addAll(shards(2));
      await a.lease('0', { lesseeId: 'a' });
      expect((await b.obtain({ lesseeId: 'b' })).id).toBe('1');
      await expect(b.obtain({ lesseeId: 'b' })).rejects.toMatchObject({ code: 'limit-reached' });
      await expect(b.lease('0', { lesseeId: 'b' })).rejects.toMatchObject({ code: 'limit-reached' });
    });

    test('lost: the lessee is told, its checkpoint is refused, and its copy stays as it was (I2, K10, K11, D1)', async () => {
      await using crew = new Crew(world);
      const [a, b] = [crew.pool(), crew.pool()];
      await a.addAll(shards(1));
      const lease = await a.obtain({ lesseeId: 'a' });
      await lease.checkpoint(1);
      const losses: unknown[] = [];
      lease.lost$.subscribe((loss) => losses.push(loss));
      await crew.managers.operator().closeSession(await sessionOf(crew.syncOf(a)), live);
      const next = await b.waitUntilObtained({ lesseeId: 'b' });
      expect(next.position).toBe(1);
      expect(next.token).toBeGreaterThan(lease.token);
      await expect(lease.checkpoint(2)).rejects.toMatchObject({ code: 'lost' });
      await until(() => losses.length > 0);
      expect(losses).toEqual([{ id: '0', token: lease.token, reason: 'lost' }]);
      expect(lease).toMatchObject({ held: false, position: 1 });
      expect(await b.list()).toMatchObject([{ position: 1 }]);
      await lease.release();
      expect(next.held).toBe(true);
    });

    test('who waits is served in order, when something is free, and leaves by its signal', async () => {
      await using crew = new Crew(world);
      const [a, b] = [crew.pool(), crew.pool()];
      await a.addAll(shards(1));
      const lease = await a.obtain({ lesseeId: 'a' });
      const order: string[] = [];
      const controller = new AbortController();
      const gone = b.waitUntilObtained({ lesseeId: 'gone', signal: controller.signal });
      const timed = b.waitUntilObtained({ lesseeId: 'timed', timeout: 1 });
      const waiting = ['b1', 'b2', 'b3'].map(async (lesseeId) => {
        const its = await b.waitUntilObtained({ lesseeId });
        order.push(its.lesseeId);
        await its.release();
      });
      controller.abort(new Error('enough'));
      await expect(gone).rejects.toThrow('enough');
      await expect(timed).rejects.toMatchObject({ code: 'timeout' });
      await lease.release();
      await Promise.all(waiting);
      expect(order).toEqual(['b1', 'b2', 'b3']);
    });

    test('LF5: an item is removed while it is held: its lessee is told so, and nothing comes back', async () => {
      await using crew = new Crew(world);
      const [a, b] = [crew.pool(), crew.pool()];
      await a.addAll(shards(1));
      const lease = await a.obtain({ lesseeId: 'a' });
      await lease.checkpoint(1);
      const losses: string[] = [];
      lease.lost$.subscribe(({ reason }) => losses.push(reason));
      expect(await b.remove('0')).toBe(true);
      await until(() => losses.length > 0);
      expect(losses).toEqual(['removed']);
      await expect(lease.checkpoint(2)).rejects.toMatchObject({ code: 'lost' });
      await until(async () => (await recordsOf(crew, a)).length === 0);
    });

    test('LF4: what is malformed, of a newer version or somebody else is told once, and the others go on (K12)', async () => {
      await using crew = new Crew(world);
      const a = crew.pool({
        attributes: {
          '~standard': {
            validate: (value) =>
              typeof (value as Shard)?.stream === 'string'
                ? { value: value as Shard }
                : { issues: [{ message: 'no stream' }] },
          },
        },
      });
      const sync = crew.syncOf(a);
      const root = `leases/${crew.name}/`;
      await a.addAll(shards(2));
      await sync.commit({
        then: [
          { put: `${root}items/bad`, value: 'not JSON' },
          { put: `${root}items/new`, value: '{"v":99,"attributes":{"stream":"x"}}' },
          { put: `${root}items/odd`, value: '{"v":1,"attributes":{}}' },
          { put: `${root}held/1`, value: '"mine"' },
          { put: `${root}items/later`, value: '{"v":1,"attributes":{"stream":"x"}}' },
          { put: `${root}at/later`, value: '{"v":2,"position":7,"more":1}' },
        ],
      });
      const bad: string[] = [];
      a.events$.subscribe((event) => event.type === 'bad-record' && bad.push(event.key.slice(root.length)));
      const lease = await a.obtain({ lesseeId: 'a' });
      expect(lease.id).toBe('0');
      await expect(a.obtain({ lesseeId: 'b' })).rejects.toMatchObject({ code: 'not-obtained' });
      await a.add({ id: 'more', attributes: { stream: 'x' } });
      expect((await a.waitUntilObtained({ lesseeId: 'b' })).id).toBe('more');
      expect([...new Set(bad)].toSorted()).toEqual([
        'at/later',
        'held/1',
        'items/bad',
        'items/new',
        'items/odd',
      ]);
      expect(await recordsOf(crew, a)).toContainEqual(
        expect.objectContaining({ value: new TextEncoder().encode('{"v":2,"position":7,"more":1}') }),
      );
      expect((await a.list()).map(({ id }) => id).toSorted()).toEqual(['0', '1', 'later', 'more']);
      await expect(a.add({ id: 'x', attributes: {} as Shard })).rejects.toMatchObject({
        code: 'invalid-option',
      });
    });

    test('attributes may be any JSON', async () => {
      await using crew = new Crew(world);
      const pool = new LeasePool<string>(crew.managers.make(), { prefix: crew.name });
      expect(await pool.add({ id: 'a', attributes: 'text' })).toBe(true);
      expect((await pool.obtain({ lesseeId: 'a' })).item.attributes).toBe('text');
    });

    test('work: obtain, run, release, next; what fails is left alone for a while, and the others go on', async () => {
      await using crew = new Crew(world);
      const pool = crew.pool();
      await pool.addAll(shards(3));
      const runs: string[] = [];
      const failures: PoolEvent[] = [];
      pool.events$.subscribe((event) => event.type === 'handler-failed' && failures.push(event));
      const most = new Peak();
      const fleet = pool.work(
        { lesseeId: 'w', concurrency: 2, backoff: [600_000, 600_000] },
        async (lease) => {
          runs.push(lease.id);
          await most.during(() => lease.checkpoint(runs.length));
          if (lease.id === '1') throw new Error('no');
        },
      );
      await until(() => runs.length === 3 && failures.length === 1);
      expect(runs.toSorted()).toEqual(['0', '1', '2']);
      expect(most.value).toBeLessThanOrEqual(2);
      expect(failures).toMatchObject([{ id: '1', error: { message: 'no' } }]);
      await until(async () => (await pool.list()).every(({ holder }) => holder === undefined));
      await fleet.stop();
    });

    test('balance: even shares as workers come and go, and no item is in two hands', async () => {
      await using crew = new Crew(world);
      const operator = crew.pool();
      await operator.addAll(shards(12));
      const hands = new Hands();
      const [first, second, third] = [crew.pool(), crew.pool(), crew.pool()];
      const one = first.balance({}, hands.work);
      await until(async () => (await sharesOf(operator)) === '12' && hands.ids.length === 12);
      second.balance({}, hands.work);
      await until(async () => (await sharesOf(operator)) === '6,6' && hands.ids.length === 12);
      expect(hands.moved).toBe(6);
      third.balance({ weight: 2 }, hands.work);
      await until(
        async () =>
          (await sharesOf(operator)) === '3,3,6' && third.status.held === 6 && hands.ids.length === 12,
      );
      expect(hands.moved).toBe(12);
      await one.stop();
      await until(
        async () =>
          (await sharesOf(operator)) === '4,8' && third.status.held === 8 && hands.ids.length === 12,
      );
      expect(hands.moved).toBe(15);
      expect(hands.doubled).toBe(0);
      await Promise.all([first, second, third].map((pool) => pool.stop()));
      expect((await operator.list()).every(({ holder }) => holder === undefined)).toBe(true);
    });

    test('a handler that does not give way loses its item after the bound, which is not taken here while it runs', async () => {
      await using crew = new Crew(world);
      const [a, b] = [crew.pool(), crew.pool()];
      await a.addAll(shards(2));
      let end = (): void => {};
      const stuck = new Promise<void>((resolve) => {
        end = resolve;
      });
      const reasons: string[] = [];
      a.events$.subscribe((event) => event.type === 'lost' && reasons.push(event.reason));
      const fleet = a.balance({ yieldTimeout: 50 }, () => stuck);
      await until(async () => (await sharesOf(a)) === '2');
      const other = new Hands();
      b.balance({}, other.work);
      await until(() => other.ids.length === 1);
      expect(reasons).toEqual(['yield-timeout']);
      end();
      await fleet.stop();
      await until(() => other.ids.length === 2);
    });

    test('stopping the manager drains its pools: handlers end by themselves, and items are free at once', async () => {
      await using crew = new Crew(world);
      const [a, b] = [crew.pool(), crew.pool()];
      await a.addAll(shards(4));
      const ends: boolean[] = [];
      let begun = 0;
      a.balance({}, async (lease) => {
        begun += 1;
        await aborted(lease.yielding);
        ends.push(lease.held);
        await lease.checkpoint(5);
      });
      await until(() => begun === 4);
      const waiting = b.waitUntilObtained({ lesseeId: 'b' });
      await crew.syncOf(a).stop();
      expect(ends).toEqual([true, true, true, true]);
      expect((await waiting).position).toBe(5);
      await expect(a.obtain({ lesseeId: 'a' })).rejects.toMatchObject({ code: 'stopped' });
    });

    test('a pool may have a session of its own', async () => {
      await using crew = new Crew(world);
      const pool = crew.pool({ session: { ttl: world.ttl * 2 } });
      await pool.addAll(shards(1));
      const lease = await pool.obtain({ lesseeId: 'a' });
      const { clock } = crew.syncOf(pool);
      expect(lease.until - clock.now()).toBeGreaterThan(world.ttl);
      await crew.syncOf(pool).stop();
      expect(lease.held).toBe(false);
    });

    test('what is wrong is refused by name, before any I/O', async () => {
      await using crew = new Crew(world);
      const sync = crew.managers.make();
      const refused = (option: string) =>
        expect.objectContaining({ code: 'invalid-option', message: expect.stringContaining(option) });
      for (const [option, options] of [
        ['prefix', {}],
        ['prefix', { prefix: 'a//b' }],
        ['prefix', { prefix: 'a/.lock/b' }],
        ['prefix', { prefix: 'x'.repeat(2_000) }],
        ['maxItems', { prefix: 'p', maxItems: 0 }],
        ['select', { prefix: 'p', select: 'any' }],
        ['session.tll', { prefix: 'p', session: { tll: 1 } }],
        ['attributes', { prefix: 'p', attributes: {} }],
        ['limit', { prefix: 'p', limit: -1 }],
        ['maxitems', { prefix: 'p', maxitems: 1 }],
      ] as const) {
        expect(() => new LeasePool(sync, options as never)).toThrow(refused(option));
      }
      const pool = new LeasePool(sync, { prefix: 'p', limit: 1 });
      expect(() => pool.work({ lesseeId: '' }, () => undefined)).toThrow(refused('lesseeId'));
      expect(() => pool.work({ lesseeId: 'a', concurrency: 0 }, () => undefined)).toThrow(
        refused('concurrency'),
      );
      expect(() => pool.balance({ weight: -1 }, () => undefined)).toThrow(refused('weight'));
      expect(() => pool.balance({ yieldTimeout: 0 }, () => undefined)).toThrow(refused('yieldTimeout'));
      expect(() => pool.balance({}, undefined as never)).toThrow(refused('handler'));
      for (const [option, request] of [
        ['lesseeId', {}],
        ['options', undefined],
        ['timout', { lesseeId: 'a', timout: 1 }],
        ['timeout', { lesseeId: 'a', timeout: -1 }],
        ['signal', { lesseeId: 'a', signal: {} }],
      ] as const) {
        const asked = request as never;
        await expect(pool.obtain(asked)).rejects.toEqual(refused(option));
        await expect(pool.lease('a', asked)).rejects.toEqual(refused(option));
        await expect(pool.waitUntilObtained(asked)).rejects.toEqual(refused(option));
      }
      expect(() => pool.work({ lesseeId: 'a', signal: {} as never }, () => undefined)).toThrow(
        refused('signal'),
      );
      await expect(pool.add({ id: '', attributes: null })).rejects.toEqual(refused('id'));
      const two = [
        { id: 'a', attributes: null },
        { id: 'a', attributes: null },
      ];
      await expect(pool.addAll(two)).rejects.toEqual(refused('items'));
      await expect(pool.addAll([...two.slice(1), { id: 'b', attributes: null }])).rejects.toMatchObject({
        code: 'limit-reached',
      });
    });
  });
}

/** Pools of one name, each in a process of its own, as it were. */
class Crew implements AsyncDisposable {
  readonly managers: Managers;
  readonly name = uniqueKey('pool');
  readonly #syncs = new Map<Pool, SyncManager>();

  constructor(world: World) {
    this.managers = new Managers(world);
  }

  pool(options: Partial<LeasePoolOptions<Shard>> = {}): Pool {
    const sync = this.managers.make();
    const pool: Pool = new LeasePool<Shard, number>(sync, { prefix: this.name, ...options });
    this.#syncs.set(pool, sync);
    return pool;
  }

  syncOf(pool: Pool): SyncManager {
    const sync = this.#syncs.get(pool);
    if (sync === undefined) throw new Error('another pool');
    return sync;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.managers[Symbol.asyncDispose]();
  }
}

/** Handlers that work until they are asked to finish, and see whether anybody else has the same item. */
class Hands {
  readonly #at = new Map<string, Lease<Shard, number>>();
  readonly #last = new Map<string, string>();
  moved = 0;
  doubled = 0;

  get ids(): string[] {
    return [...this.#at.keys()];
  }

  readonly work = async (lease: Lease<Shard, number>): Promise<void> => {
    const { id, lesseeId } = lease;
    if (this.#at.get(id)?.held === true) this.doubled += 1;
    const last = this.#last.get(id);
    if (last !== undefined && last !== lesseeId) this.moved += 1;
    this.#last.set(id, lesseeId);
    this.#at.set(id, lease);
    await aborted(lease.yielding);
    this.#at.delete(id);
  };
}

class Peak {
  #now = 0;
  value = 0;

  async during(work: () => Promise<unknown>): Promise<void> {
    this.#now += 1;
    this.value = Math.max(this.value, this.#now);
    try {
      await work();
    } finally {
      this.#now -= 1;
    }
  }
}

function shards(count: number): { id: string; attributes: Shard }[] {
  return Array.from({ length: count }, (_, n) => ({ id: String(n), attributes: { stream: `s${n}` } }));
}

/** How many items each has, as "3,3,6". */
async function sharesOf(pool: Pool): Promise<string> {
  const counts = new Map<string, number>();
  for (const { holder } of await pool.list()) {
    if (holder !== undefined) counts.set(holder.lesseeId, (counts.get(holder.lesseeId) ?? 0) + 1);
  }
  return [...counts.values()].toSorted((a, b) => a - b).join();
}

async function recordsOf(crew: Crew, pool: Pool): Promise<readonly unknown[]> {
  const { records } = await crew.syncOf(pool).query({ prefix: `leases/${crew.name}/` });
  return records.filter(({ key }) => !key.includes('/workers/'));
}
