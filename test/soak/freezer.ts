import { setTimeout as sleep } from 'node:timers/promises';
import type { LockSetClient } from './lock-set-client.ts';
import type { Variant } from './lock-set-protocol.ts';

/** Milliseconds. */
const LONGEST = 5_000;
/** How much longer than until somebody else has written, at most. */
const LINGER = 300;
const LONGEST_ANYWHERE = 3_000;
const PAUSE_ANYWHERE = 3_000;

/** How many may be stopped between a read and a write at once. */
const AT_ONCE = 2;

/** Decides who is stopped, and for how long. */
export class Freezer {
  /** How often somebody was stopped between a read and a write until somebody else had written. */
  readonly done: Map<Variant, number>;
  /** Stopped at some other instant. */
  anywhere = 0;
  /** Milliseconds. */
  longest = 0;
  readonly #count: number;
  readonly #written: (variant: Variant) => bigint;
  readonly #between = new Map<Variant, Promise<void>>();
  readonly #frozen = new Set<LockSetClient>();

  /** @param written the largest token under which a write was accepted so far. */
  constructor(variants: readonly Variant[], count: number, written: (variant: Variant) => bigint) {
    this.done = new Map(variants.map((variant) => [variant, 0]));
    this.#count = count;
    this.#written = written;
  }

  /** Stops clients until each variant has had its share; at other instants too, there one client at a time. */
  async run(clients: readonly LockSetClient[], isOver: () => boolean): Promise<void> {
    // Not before each has had its first: without that nothing would have been tried.
    const finished = () => {
      const wanted = isOver() ? Math.min(1, this.#count) : this.#count;
      return [...this.done.values()].every((done) => done >= wanted);
    };
    while (!finished()) {
      await sleep(Math.random() * PAUSE_ANYWHERE);
      const client = clients[Math.floor(Math.random() * clients.length)];
      if (client === undefined || this.#frozen.has(client)) continue;
      this.anywhere++;
      await this.#freeze(client, finished, Math.random() * LONGEST_ANYWHERE);
    }
    await Promise.all(this.#between.values());
  }

  /** This client has read and is about to write. It is told to go on: perhaps while it is stopped. */
  between(client: LockSetClient, variant: Variant, token: bigint): void {
    const wanted = this.#doneOf(variant) < this.#count && !this.#between.has(variant);
    if (wanted && this.#between.size < AT_ONCE && !this.#frozen.has(client)) {
      const overtaken = (): boolean => this.#written(variant) > token;
      const over = this.#freeze(client, overtaken, LONGEST).then(() => {
        this.#between.delete(variant);
        if (overtaken()) this.done.set(variant, this.#doneOf(variant) + 1);
      });
      this.#between.set(variant, over);
    }
    client.tell(variant);
  }

  #doneOf(variant: Variant): number {
    return this.done.get(variant) ?? 0;
  }

  async #freeze(client: LockSetClient, enough: () => boolean, bound: number): Promise<void> {
    this.#frozen.add(client);
    client.freeze();
    const begun = performance.now();
    const left = (): number => bound - (performance.now() - begun);
    while (!enough() && left() > 0) await sleep(Math.min(10, left()));
    if (left() > 0) await sleep(Math.min(left(), Math.random() * LINGER));
    this.#frozen.delete(client);
    client.thaw();
    this.longest = Math.max(this.longest, performance.now() - begun);
  }
}
