import { sleep } from '../../../src/async/sleep.ts';
import type { Process } from '../process.ts';
import type { World } from '../world.ts';
import type { ShardLease, ShardPool } from './pool.ts';
import type { LeaseWorkload } from './workload.ts';

/** How work on an item may end, while harm is done. */
const ENDS = ['returns', 'returns', 'fails', 'hangs', 'gives back', 'gives back'] as const;

/** Milliseconds that a timer may be late. */
const LATE = 50;

/** Work of one process on one item, under one lease. */
export class Run {
  readonly process: Process;
  /** A process may have one after the other, and what hangs is left behind. */
  readonly pool: ShardPool | undefined;
  readonly lease: ShardLease;
  /** It has given the item back itself. */
  parted = false;
  readonly #workload: LeaseWorkload;
  readonly #world: World;
  /** Milliseconds for which it may go on once it was asked to finish; `undefined`: nobody asks. */
  readonly #yieldTimeout: number | undefined;
  readonly #halts: number;
  #asked: number | undefined;
  #at: number;

  constructor(
    workload: LeaseWorkload,
    process: Process,
    pool: ShardPool | undefined,
    lease: ShardLease,
    yieldTimeout?: number,
  ) {
    this.#workload = workload;
    this.#world = workload.world;
    this.process = process;
    this.pool = pool;
    this.lease = lease;
    this.#yieldTimeout = yieldTimeout;
    this.#halts = process.halts;
    this.#at = lease.position?.at ?? 0;
    lease.yielding.addEventListener('abort', () => {
      this.#asked = process.clock.now();
    });
  }

  /** @param stays whether it works on until it is asked to finish. */
  async work(stays: () => boolean): Promise<void> {
    const world = this.#world;
    const { lease } = this;
    const end = world.well ? 'returns' : world.pick(ENDS);
    const rounds = Math.floor(world.between(0, world.chance(0.2) ? 15 : 5));
    for (let round = 0; (round < rounds || stays()) && !lease.yielding.aborted; round++) {
      await this.#pause(stays() ? world.between(300, 600) : world.between(0, 200));
      if (world.chance(0.6)) await this.#checkpoint().catch((error: unknown) => this.#goOn(error));
    }
    if (end === 'hangs')
      await sleep(this.process.clock, world.between(0, 2_000), new AbortController().signal);
    // Some try what is not theirs any more.
    if (end === 'hangs' && world.chance(0.5)) await this.#checkpoint();
    if (end === 'fails') throw new Error('gave up');
    if (end === 'gives back') await this.#giveBack();
  }

  /** Whether its lease is given back when it has ended, and not before. */
  get handled(): boolean {
    return this.#yieldTimeout !== undefined && !this.parted;
  }

  /** What may not be seen now? */
  look(): void {
    const { clock, halts, name } = this.process;
    if (this.#asked === undefined || this.#yieldTimeout === undefined || halts !== this.#halts) return;
    const bound = this.#asked + this.#yieldTimeout + LATE;
    if (clock.running && clock.now() > bound && this.lease.held) {
      this.#world.violate('a handler goes on for longer than it may', `${name}: ${this.lease.id}`);
    }
  }

  /** Some go on as long as they may: what they asked for may come through later, over what they note next. */
  #goOn(error: unknown): void {
    if (!this.lease.held || this.#world.chance(0.3)) throw error;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(this.process.clock, ms, this.lease.yielding).catch(() => undefined);
  }

  async #checkpoint(): Promise<void> {
    const at = this.#at + 1;
    const { id, token } = this.lease;
    // It may be written, whatever is told.
    this.#at = at;
    this.#world.note(() => `${this.process.name} notes ${id}, token ${token}, at ${at}`);
    await this.lease.checkpoint({ at });
    this.#workload.ledger.told(id, token, at);
  }

  async #giveBack(): Promise<void> {
    const at = this.#at + 1;
    const { id, token } = this.lease;
    const { halts, network } = this.process;
    // Asked twice and heard of the second time only, a refusal says nothing about the first.
    const { repeat } = network.conditions;
    this.parted = true;
    try {
      await this.lease.release({ checkpoint: { at } });
    } catch (error) {
      const { code, outcome } = error as { code?: string; outcome?: string };
      const isSure = repeat === 0 && network.conditions.repeat === 0 && halts === this.process.halts;
      if (code === 'lost' && outcome === 'refused' && isSure) this.#workload.ledger.denied(id, token, at);
      throw error;
    }
    this.#workload.ledger.told(id, token, at);
  }
}
