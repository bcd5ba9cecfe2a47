/** The one owner of promises nobody awaits: none floats, and stopping waits for them. */
export class Background {
  readonly #tasks = new Set<Promise<unknown>>();
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  run(task: Promise<unknown>): void {
    const owned = task.catch(this.#report).finally(() => this.#tasks.delete(owned));
    this.#tasks.add(owned);
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }
}
