interface Group {
  readonly keys: readonly string[];
  readonly until: number;
}

/** Keys whose owner's session was invalidated, held back for a while. Their release is silent: nobody is woken. */
export class LockDelays {
  readonly #until = new Map<string, number>();
  /** One for each session, and looked at as a whole: nobody may ever ask for its keys again. */
  readonly #groups = new Set<Group>();
  /** No group is over before this instant. */
  #next = Number.POSITIVE_INFINITY;

  /** How many keys are remembered. */
  get size(): number {
    return this.#until.size;
  }

  /** Milliseconds until the key can be taken, or 0. */
  left(key: string, now: number): number {
    return Math.max(0, (this.#until.get(key) ?? 0) - now);
  }

  /** What was said of a key before is replaced. */
  add(keys: readonly string[], until: number): void {
    if (keys.length === 0) return;
    for (const key of keys) this.#until.set(key, until);
    this.#groups.add({ keys, until });
    this.#next = Math.min(this.#next, until);
  }

  /** Forgets the delays that are over. */
  prune(now: number): void {
    if (now < this.#next) return;
    this.#next = Number.POSITIVE_INFINITY;
    for (const group of this.#groups) {
      if (group.until > now) this.#next = Math.min(this.#next, group.until);
      else this.#forget(group);
    }
  }

  clear(): void {
    this.#until.clear();
    this.#groups.clear();
    this.#next = Number.POSITIVE_INFINITY;
  }

  #forget(group: Group): void {
    this.#groups.delete(group);
    // A later session may hold the same key back for longer.
    for (const key of group.keys) if (this.#until.get(key) === group.until) this.#until.delete(key);
  }
}
