/**
 * The locks of a manager by their keys: one for each key for as long as anybody can tell, and forgotten after that. A lock
 * is referred to weakly, unless it was told to be kept: somebody who has nothing but a subscription still has to be told.
 */
export class LockRegistry<Lock extends object> implements Iterable<Lock> {
  readonly #known = new Map<string, WeakRef<Lock>>();
  readonly #kept = new Set<Lock>();
  readonly #forgotten = new FinalizationRegistry<string>((key) => {
    // There may be another one by now.
    if (this.#known.get(key)?.deref() === undefined) this.#known.delete(key);
  });

  get(key: string): Lock | undefined {
    return this.#known.get(key)?.deref();
  }

  /** Not for a key that has one. */
  add(key: string, lock: Lock): void {
    this.#known.set(key, new WeakRef(lock));
    this.#forgotten.register(lock, key);
  }

  /** Until `letGo`, whether or not anybody else refers to it. */
  keep(lock: Lock): void {
    this.#kept.add(lock);
  }

  letGo(lock: Lock): void {
    this.#kept.delete(lock);
  }

  /** All that somebody may know of, in the order in which they were made. */
  *[Symbol.iterator](): Generator<Lock> {
    for (const known of this.#known.values()) {
      const lock = known.deref();
      if (lock !== undefined) yield lock;
    }
  }

  /** How many keys there is something known of. For tests. */
  get size(): number {
    return this.#known.size;
  }
}
