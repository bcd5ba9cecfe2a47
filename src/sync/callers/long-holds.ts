import type { Clock, Timer } from '../../async/clock.ts';
import type { Grant } from './grant.ts';
import type { LocalQueue } from './local-queue.ts';

/** By which part of the bound a hold may be told late. */
const LATE = 0.25;

/**
 * Tells of scoped grants that are held for long, once of each: work that never settles keeps everybody out and says nothing.
 * One timer looks at all of them, and only while there are any.
 */
export class LongHolds {
  readonly #clock: Clock;
  readonly #bound: number;
  readonly #queues: () => Iterable<LocalQueue>;
  readonly #tell: (grant: Grant, ms: number) => void;
  readonly #told = new WeakSet<Grant>();
  #timer: Timer | undefined;
  #stopped = false;

  /** @param bound milliseconds; `Infinity` tells of none. */
  constructor(
    clock: Clock,
    bound: number,
    queues: () => Iterable<LocalQueue>,
    tell: (grant: Grant, ms: number) => void,
  ) {
    this.#clock = clock;
    this.#bound = bound;
    this.#queues = queues;
    this.#tell = tell;
  }

  /** There is a queue. */
  begin(): void {
    if (this.#timer !== undefined || this.#stopped || this.#bound === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.after(this.#bound * LATE, () => this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    let any = false;
    for (const { scoped } of this.#queues()) {
      any = true;
      if (scoped === undefined || this.#told.has(scoped.grant)) continue;
      const ms = now - scoped.since;
      if (ms < this.#bound) continue;
      this.#told.add(scoped.grant);
      this.#tell(scoped.grant, ms);
    }
    if (any) this.begin();
  }
}
