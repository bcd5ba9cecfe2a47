import type { Grant } from 'holdfast';

/** What the callers of one process have asked for, and what they have. */
export class Claims {
  /** Grants that somebody in this process may still believe in. */
  readonly grants = new Set<Grant>();
  /** Keys with a standing claim. */
  readonly standing = new Set<string>();
  /** How many calls are waiting for a key at the moment. */
  readonly #asking = new Map<string, number>();
  /** The scoped callers in line for a key, by the number in which they asked. */
  readonly #line = new Map<string, Set<number>>();

  asksFor(key: string): boolean {
    return (this.#asking.get(key) ?? 0) > 0;
  }

  async asking<T>(key: string, call: Promise<T>): Promise<T> {
    this.#asking.set(key, (this.#asking.get(key) ?? 0) + 1);
    try {
      return await call;
    } finally {
      this.#asking.set(key, (this.#asking.get(key) ?? 0) - 1);
    }
  }

  /** Who is in line for a key, as a set that changes with it. */
  line(key: string): Set<number> {
    const waiting = this.#line.get(key) ?? new Set();
    this.#line.set(key, waiting);
    return waiting;
  }

  /** What is over, and known to be. */
  forget(key: string): void {
    for (const grant of this.grants) if (grant.key === key && grant.signal.aborted) this.grants.delete(grant);
  }
}
