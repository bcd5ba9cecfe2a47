/** Who can stand in a line: the line itself keeps there who is next to whom. Of one line at a time. */
export interface Waiter<Self> {
  inLine?: boolean;
  before?: Self | undefined;
  behind?: Self | undefined;
}

/**
 * First come, first served, and anybody may leave: all in constant time. In an array of thousands each who leaves is
 * searched for, and moves all behind; a `Set` walks over all that have left whenever it is asked for its first.
 */
export class Line<T extends Waiter<T>> {
  #first: T | undefined;
  #last: T | undefined;
  #length = 0;

  get first(): T | undefined {
    return this.#first;
  }

  get length(): number {
    return this.#length;
  }

  /** Not somebody who stands in it. */
  push(waiter: T): void {
    waiter.inLine = true;
    waiter.before = this.#last;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.behind = waiter;
    this.#last = waiter;
    this.#length += 1;
  }

  /** `false` for somebody who does not stand in it. */
  delete(waiter: T): boolean {
    if (!waiter.inLine) return false;
    const { before, behind } = waiter;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    waiter.inLine = false;
    waiter.before = undefined;
    waiter.behind = undefined;
    this.#length -= 1;
    return true;
  }

  /** Everybody, the last first. */
  reversed(): T[] {
    const all: T[] = [];
    for (let waiter = this.#last; waiter !== undefined; waiter = waiter.before) all.push(waiter);
    return all;
  }
}
