import type { Clock } from '../../async/clock.ts';
import { within } from '../../async/within.ts';

export type StopStage = 'before-release';

/** What is to be done when the manager stops, the last registered first: who was there before may be needed until the end. */
export class Stages {
  readonly #clock: Clock;
  readonly #report: (error: unknown) => void;
  readonly #tasks = new Set<() => unknown>();

  constructor(clock: Clock, report: (error: unknown) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  /** Returns what takes it back. */
  add(task: () => unknown): () => void {
    // The same function may be given twice.
    const entry = (): unknown => task();
    this.#tasks.add(entry);
    return () => this.#tasks.delete(entry);
  }

  /** One after the other, within `bound` milliseconds in all: whoever is late is left behind, and the others go on. Never rejects. */
  async run(bound: number): Promise<void> {
    const until = this.#clock.now() + bound;
    for (const task of [...this.#tasks].reverse()) {
      // One of those before may have taken it back.
      if (!this.#tasks.delete(task)) continue;
      await within(this.#clock, until - this.#clock.now(), this.#run(task));
    }
  }

  async #run(task: () => unknown): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#report(error);
    }
  }
}
