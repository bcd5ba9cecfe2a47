import { monotonic, sleep } from '../../async/platform.ts';

/**
 * A token bucket for answers that woke nobody. A query on a key that is not there wakes for every write anywhere,
 * and an index that is zero or goes back does not wait at all.
 */
export class Throttle {
  /** At most BURST + RATE, fewer than 10, in any one second. */
  static readonly BURST = 3;
  static readonly RATE = 6;
  #tokens = Throttle.BURST;
  readonly #now: () => number;
  #at: number;

  constructor(now = monotonic) {
    this.#now = now;
    this.#at = now();
  }

  /** Resolves when there are so many to take. Rejects when the signal aborts. */
  async take(signal: AbortSignal, cost = 1): Promise<void> {
    const now = this.#now();
    this.#tokens = Math.min(Throttle.BURST, this.#tokens + ((now - this.#at) / 1000) * Throttle.RATE);
    this.#at = now;
    this.#tokens -= cost;
    if (this.#tokens >= 0) return;
    try {
      await sleep((-this.#tokens / Throttle.RATE) * 1000, undefined, { signal });
    } catch (error) {
      // Not taken: or the next one would wait for all that gave up before it.
      this.#tokens += cost;
      throw error;
    }
  }
}
