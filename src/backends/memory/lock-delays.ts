/** Keys whose owner's session was invalidated, held back for a while. Their release is silent: nobody is woken. */
export class LockDelays {
  readonly #until = new Map<string, number>();

  /** Milliseconds until the key can be taken, or 0. */
  left(key: string, now: number): number {
    const until = this.#until.get(key);
    if (until === undefined) return 0;
    if (until > now) return until - now;
    this.#until.delete(key);
    return 0;
  }

  set(key: string, until: number): void {
    this.#until.set(key, until);
  }

  /** Forgets the delays that are over of keys that nobody asked for again. */
  prune(now: number): void {
    for (const [key, until] of this.#until) {
      if (until <= now) this.#until.delete(key);
    }
  }

  clear(): void {
    this.#until.clear();
  }
}
