import { RecordTable } from '../../../src/backends/memory/records.ts';

export interface SessionRow {
  readonly id: string;
  readonly ttl: number;
  /** On the clock of `performance.now()`. */
  readonly expires: number;
}

/** What is committed, and what keeps transactions apart: a database as small as the rules for one need. */
export class Database {
  readonly records = new RecordTable();
  readonly sessions = new Map<string, SessionRow>();
  readonly #locks = new Map<string, Promise<void>>();
  readonly #notices: (readonly string[])[] = [];
  readonly #listeners = new Set<() => void>();
  /** Where somebody has looked: a queue is asked for under its lock, what is above it in the step that commits. */
  readonly #interest = new Set<string>();
  #sequence = 0n;
  #opened = 0;

  /** The first of so many numbers, which nobody else gets. */
  draw(numbers = 1): bigint {
    const first = this.#sequence + 1n;
    this.#sequence += BigInt(numbers);
    return first;
  }

  newSession(): string {
    return `s${++this.#opened}`;
  }

  /** Waits for its turn. Returns how to unlock. */
  async lock(name: string): Promise<() => void> {
    const before = this.#locks.get(name);
    let unlock = (): void => {};
    const held = new Promise<void>((resolve) => {
      unlock = resolve;
    });
    const mine = (before ?? Promise.resolve()).then(() => held);
    this.#locks.set(name, mine);
    await before;
    return () => {
      if (this.#locks.get(name) === mine) this.#locks.delete(name);
      unlock();
    };
  }

  noteInterest(place: string): void {
    this.#interest.add(place);
  }

  isOfInterest(key: string): boolean {
    for (const name of this.#interest) if (key.startsWith(name)) return true;
    return false;
  }

  isWatched(directory: string): boolean {
    return this.#interest.has(directory);
  }

  /** How many notices there were: a place among them. */
  get told(): number {
    return this.#notices.length;
  }

  toldSince(place: number): readonly string[] {
    return this.#notices.slice(place).flat();
  }

  notify(keys: readonly string[]): void {
    if (keys.length === 0) return;
    this.#notices.push(keys);
    for (const listener of [...this.#listeners]) listener();
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
