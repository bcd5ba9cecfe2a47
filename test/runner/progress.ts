/** How long a run of tests may take, in milliseconds. */
export interface Bounds {
  /** One file, from its import to its end. */
  readonly file: number;
  readonly run: number;
}

/** Generous: on two processors that twenty wanted, the longest file took 11 minutes, and the others wait for expiries. */
export const DEFAULT_BOUNDS: Bounds = { file: 15 * 60_000, run: 24 * 60_000 };

/** How many of those that ended last are named when nothing runs. */
const LAST = 3;

/** What runs, as the reporter told, and whether it is time to end it. Instants in milliseconds of one clock. */
export class Progress {
  readonly #bounds: Bounds;
  readonly #begun: number;
  readonly #running = new Map<string, number>();
  readonly #ended: string[] = [];
  #lastNews: number;

  constructor(bounds: Bounds, now: number) {
    this.#bounds = bounds;
    this.#begun = now;
    this.#lastNews = now;
  }

  began(file: string, now: number): void {
    this.#running.set(file, now);
    this.#lastNews = now;
  }

  ended(file: string, now: number): void {
    this.#running.delete(file);
    this.#ended.push(file);
    this.#lastNews = now;
  }

  /** Why the run has to be ended, in a sentence, or nothing. */
  overdue(now: number): string | undefined {
    const { file, run } = this.#bounds;
    const late = [...this.#running].filter(([, since]) => now - since > file);
    if (late.length > 0) {
      const names = late.map(([name, since]) => `${name} (for ${shown(now - since)})`);
      return `These run for longer than a file may, which is ${shown(file)}, and hang: ${names.join(', ')}.`;
    }
    if (now - this.#begun > run) {
      return `All tests together run for longer than they may, which is ${shown(run)}. ${this.#state(now)}`;
    }
    if (this.#running.size === 0 && now - this.#lastNews > file) {
      return `No file has begun or ended for ${shown(now - this.#lastNews)}. ${this.#state(now)}`;
    }
    return undefined;
  }

  /** Which files an ended run has left out, in a sentence, or nothing: of a worker that dies, Vitest tells no more than that. */
  unfinished(): string | undefined {
    if (this.#running.size === 0) return undefined;
    return `These began and did not end: ${[...this.#running.keys()].join(', ')}.`;
  }

  #state(now: number): string {
    const running = [...this.#running].map(([name, since]) => `${name} (for ${shown(now - since)})`);
    if (running.length > 0) return `Still running: ${running.join(', ')}.`;
    const last = this.#ended.slice(-LAST);
    return last.length > 0 ? `The last to end: ${last.join(', ')}.` : 'None has begun.';
  }
}

function shown(ms: number): string {
  return ms < 120_000 ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / 60_000)} min`;
}
