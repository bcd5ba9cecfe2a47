/** How many records are removed at a time by `stop()`. */
const PARALLELISM = 64;

/** Removals of records, of which a bounded number is under way at a time: a server is not to be overrun. */
export class Removals {
  #isBounded = false;
  #free = PARALLELISM;
  readonly #waiting: (() => void)[] = [];

  /** From now on. */
  bound(): void {
    this.#isBounded = true;
  }

  /** Without effect if the signal aborts before it is its turn. */
  run(signal: AbortSignal, remove: () => Promise<void>): Promise<void> {
    return this.#isBounded ? this.#inTurn(signal, remove) : remove();
  }

  /** The last first: the leader's, which comes after all that only a leader does. */
  async #inTurn(signal: AbortSignal, remove: () => Promise<void>): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      if (!signal.aborted) await remove();
    } finally {
      const next = this.#waiting.pop();
      if (next !== undefined) next();
      else this.#free += 1;
    }
  }
}
