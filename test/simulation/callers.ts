import { isExpected } from './errors.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

interface Caller {
  readonly process: Process;
  readonly name: string;
  readonly done: Promise<void>;
}

/** Callers that do one thing again and again, until their process is to give up. */
export class Callers {
  /** How often they got what they want. */
  turns = 0;
  readonly #world: World;
  readonly #callers: Caller[] = [];
  /** Those who got it when all was well. */
  readonly #fed = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  /**
   * @param act what is done, again and again: it has to take time. It calls `onTurn` when it got what it wants. What it rejects with
   * must be an error that such a world excuses.
   */
  repeat(process: Process, name: string, act: (onTurn: () => void) => Promise<void>): void {
    const done = Promise.resolve().then(() => this.#run(process, name, act));
    this.#callers.push({ process, name, done });
  }

  /** See `Workload`. Who has noticed that the store went back gets nothing any more. */
  hungry(): readonly string[] {
    const waiting = this.#living.filter(({ process, name }) => !process.noticed && !this.#fed.has(name));
    return waiting.map(({ name }) => name);
  }

  /** See `Workload`. */
  ended(): Promise<unknown> {
    return Promise.all(this.#living.map(({ done }) => done));
  }

  async #run(process: Process, name: string, act: (onTurn: () => void) => Promise<void>): Promise<void> {
    const { signal } = process.stopping;
    const onTurn = (): void => {
      this.turns += 1;
      if (this.#world.well) this.#fed.add(name);
    };
    while (!signal.aborted) {
      try {
        await act(onTurn);
      } catch (error) {
        // Of a manager that was stopped nothing more is to be had, not even a wait.
        if ((error as { readonly code?: unknown }).code === 'stopped') return;
        if (!signal.aborted && !isExpected(error, this.#world)) {
          this.#world.violate('an unexpected error', `${name}: ${String(error)}`);
        }
      }
    }
  }

  get #living(): Caller[] {
    return this.#callers.filter(({ process }) => !process.dead);
  }
}
