import { Fifo } from './fifo.ts';

/** Who waits to be sent. Nobody waits any more once `start` is gone. */
interface Waiting {
  start: (() => void) | undefined;
}

/**
 * How many requests are under way at a time. A server that is asked for everything at once answers everything late: then
 * every deadline passes, and what had only to wait for its turn is taken for lost. So the others wait here, and the time of a
 * request begins when it is sent.
 *
 * What a hold depends on (`urgent`: looks, releases, guarded writes) goes ahead of what would only like to hold.
 */
export class Window {
  #free: number;
  /** Whoever is started may be over at once, and thousands after one another: then each would stand on the stack of the one before. */
  #starting = false;
  readonly #urgent = new Fifo<Waiting>();
  readonly #ordinary = new Fifo<Waiting>();

  constructor(size: number) {
    this.#free = size;
  }

  /** Starts now if there is room, or later. Whoever was started calls `leave` once. Returns what takes it back before that. */
  enter(urgent: boolean, start: () => void): () => void {
    if (this.tryEnter()) {
      start();
      return nothing;
    }
    const waiting: Waiting = { start };
    (urgent ? this.#urgent : this.#ordinary).push(waiting);
    return () => {
      waiting.start = undefined;
    };
  }

  get hasRoom(): boolean {
    return this.#free > 0;
  }

  /** Without waiting. `false`: there is no room. */
  tryEnter(): boolean {
    if (this.#free === 0 || this.#starting) return false;
    this.#free -= 1;
    return true;
  }

  /** Resolves when it has entered, however long that takes. */
  come(urgent: boolean): Promise<void> {
    return new Promise((resolve) => void this.enter(urgent, resolve));
  }

  /** Room for the next one. */
  leave(): void {
    this.#free += 1;
    if (this.#starting) return;
    this.#starting = true;
    try {
      for (let start = this.#next(); start !== undefined; start = this.#next()) {
        this.#free -= 1;
        start();
      }
    } finally {
      this.#starting = false;
    }
  }

  #next(): (() => void) | undefined {
    if (this.#free === 0) return undefined;
    for (const queue of [this.#urgent, this.#ordinary]) {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        if (next.start !== undefined) return next.start;
      }
    }
    return undefined;
  }
}

function nothing(): void {}
