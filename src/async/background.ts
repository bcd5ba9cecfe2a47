/** The one owner of promises nobody awaits: none floats, and stopping waits for them. */
export class Background {
  readonly #report: (error: unknown) => void;
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  run(task: Promise<unknown>): void {
    this.#underWay += 1;
    task.then(this.#over, this.#failed);
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    while (this.#underWay > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  // Made once, and not for each of the tasks, of which every lock has some.
  readonly #over = (): void => {
    this.#underWay -= 1;
    if (this.#underWay > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  };

  readonly #failed = (error: unknown): void => {
    this.#over();
    this.#report(error);
  };
}
