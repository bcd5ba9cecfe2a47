import type { Process } from '../process.ts';
import type { World } from '../world.ts';

/** What the store has accepted of one job: a note for each run that begins. */
export class Notes {
  readonly #world: World;
  readonly #key: string;
  readonly #atLeast: number;
  readonly #noted = new Set<string>();
  readonly #begun = new Set<string>();
  /** By whom, and when, in milliseconds of true time. */
  readonly #accepted: { readonly process: Process; readonly at: number }[] = [];
  /** When the last run began, by the wall clock of who noted it. */
  #last: number | undefined;

  constructor(world: World, key: string, atLeast: number) {
    this.#world = world;
    this.#key = key;
    this.#atLeast = atLeast;
  }

  accepted(process: Process, at: number, token: string): void {
    if (this.#last !== undefined && Math.abs(at - this.#last) < this.#atLeast) {
      this.#violate('noted too soon after the last run', `${process.name}, after ${at - this.#last} ms`);
    }
    if (!this.#isHeld(BigInt(token))) {
      this.#violate('noted by who does not hold the lock', `${process.name}, ${token}`);
    }
    this.#last = at;
    this.#noted.add(token);
    this.#accepted.push({ process, at: this.#world.clock.now() });
  }

  /** A run begins: under a note of its own. */
  begun(token: string): void {
    if (!this.#noted.has(token)) this.#violate('a run began that is not noted', token);
    if (this.#begun.has(token)) this.#violate('a run began twice', token);
    this.#begun.add(token);
  }

  isNotedBy(process: Process, since: number): boolean {
    return this.#accepted.some((note) => note.process === process && note.at >= since);
  }

  /** Tokens come again, and the last note may be gone. */
  restored(): void {
    this.#last = undefined;
    this.#begun.clear();
  }

  /** A token says in its high bits which revision made the record that proves it. */
  #isHeld(token: bigint): boolean {
    const records = this.#world.store.records(this.#key).filter(({ session }) => session !== undefined);
    return records.some(({ created, revision }) => [created, revision].includes(token >> 16n));
  }

  #violate(rule: string, detail: string): void {
    this.#world.violate(rule, `${this.#key}: ${detail}`);
  }
}
