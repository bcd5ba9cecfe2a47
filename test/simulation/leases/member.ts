import { sleep } from '../../../src/async/sleep.ts';
import { isSyncError } from '../../../src/contract/errors.ts';
import { lineOf } from '../../../src/leases/events.ts';
import { isExpected } from '../errors.ts';
import type { Process } from '../process.ts';
import type { World } from '../world.ts';
import { POOL, type ShardLease, type ShardPool, schema } from './pool.ts';
import type { LeaseWorkload } from './workload.ts';

export type Role = 'balance' | 'work' | 'wait' | 'take';

/** What is refused in good order. */
const REFUSED = new Set(['not-obtained', 'limit-reached', 'stopped']);

/** One process as a member of the pool: with one pool after the other, and at last with one that stays. */
export class Member {
  readonly process: Process;
  /** Items at a time. */
  readonly maxItems: number;
  readonly role: Role;
  readonly weight: number;
  pool: ShardPool | undefined;
  readonly #workload: LeaseWorkload;
  readonly #world: World;

  constructor(workload: LeaseWorkload, process: Process, role: Role, weight: number) {
    this.#workload = workload;
    this.#world = workload.world;
    this.process = process;
    this.role = role;
    this.weight = weight;
    this.maxItems = this.#world.chance(0.7) ? 1_000 : Math.floor(this.#world.between(1, 4));
  }

  /** One pool, from its beginning to its end. */
  async live(): Promise<void> {
    const world = this.#world;
    const { sync, name } = this.process;
    await this.#pause(world.between(0, 200));
    const pool: ShardPool = new this.#workload.LeasePool(sync, {
      prefix: POOL,
      attributes: schema,
      maxItems: this.maxItems,
      select: world.pick(['random', 'least-recent'] as const),
    });
    this.pool = pool;
    world.note(() => `${name} has a pool: ${this.role}, ${pool.member}`);
    pool.events$.subscribe((event) => {
      if (event.type === 'trouble' && isSyncError(event.error, 'store-reset')) this.process.noticed = true;
      world.note(() => `${name}: ${lineOf(event).join(': ')}`);
      if (event.type === 'lost' && event.reason === 'removed')
        this.#workload.ledger.removed(event.id, event.token);
    });
    try {
      const runsFleet = this.role === 'balance' || this.role === 'work';
      do await (runsFleet ? this.#runFleet(pool) : this.#takeTurns(pool));
      while (!this.process.stopping.signal.aborted && world.chance(0.5));
    } finally {
      // Stopped with its manager, or by itself.
      if (!this.process.stopping.signal.aborted || world.chance(0.5)) await pool.stop();
      this.pool = undefined;
    }
  }

  async #runFleet(pool: ShardPool): Promise<void> {
    const world = this.#world;
    const { name, stopping } = this.process;
    const yieldTimeout = world.between(150, 600);
    const handling = {
      lesseeId: name,
      yieldTimeout,
      backoff: [world.between(20, 200), 1_000] as const,
      ...(world.chance(0.5) && { signal: stopping.signal }),
    };
    const handler = (lease: ShardLease): Promise<void> => this.#workload.run(this, lease, yieldTimeout);
    const fleet =
      this.role === 'balance'
        ? pool.balance({ ...handling, weight: this.weight }, handler)
        : pool.work({ ...handling, concurrency: 1 + Math.floor(world.between(0, 3)) }, handler);
    await this.#stay(world.between(200, 3_000));
    await fleet.stop();
  }

  async #takeTurns(pool: ShardPool): Promise<void> {
    const world = this.#world;
    const turns = async (lesseeId: string): Promise<void> => {
      const until = world.well
        ? Number.POSITIVE_INFINITY
        : this.process.clock.now() + world.between(200, 3_000);
      while (this.process.clock.now() < until && !this.process.stopping.signal.aborted) {
        await this.#pause(world.between(5, 100));
        await this.#take(pool, lesseeId).catch((error: unknown) => this.#excuse(error));
      }
    };
    await Promise.all(['x', 'y'].map((lessee) => turns(`${this.process.name}/${lessee}`)));
  }

  async #take(pool: ShardPool, lesseeId: string): Promise<void> {
    const world = this.#world;
    const { signal } = this.process.stopping;
    const timeout = world.between(100, 2_000);
    const asked = this.role === 'take' ? world.pick(['any', 'one'] as const) : 'wait';
    const { items } = this.#workload.ledger;
    const lease =
      asked === 'wait'
        ? await pool.waitUntilObtained({ lesseeId, timeout, signal })
        : asked === 'one' && items.length > 0
          ? await pool.lease(world.pick(items), { lesseeId })
          : await pool.obtain({ lesseeId, timeout, signal });
    // Its own lessee gets it again.
    if (this.#workload.isKnown(lease)) return;
    try {
      await this.#workload.run(this, lease);
    } finally {
      await lease.release();
    }
  }

  #excuse(error: unknown): void {
    const { code } = error as { readonly code?: string };
    if (this.process.stopping.signal.aborted || REFUSED.has(code ?? '') || isExpected(error, this.#world))
      return;
    this.#world.violate('an unexpected error', `${this.process.name}: ${String(error)}`);
  }

  /** When all is well it stays until everybody stops. */
  async #stay(ms: number): Promise<void> {
    await this.#pause(ms);
    while (this.#world.well && !this.process.stopping.signal.aborted) await this.#pause(60_000);
  }

  async #pause(ms: number): Promise<void> {
    await sleep(this.process.clock, ms, this.process.stopping.signal).catch(() => undefined);
  }
}
