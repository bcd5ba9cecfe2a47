/**
 * What the outside is told, after the inside is settled: a listener may call right back into the engine, and must
 * find it in the state it was told of. Items are delivered in order, also those that a listener causes; those that end
 * somebody's work come before all others, since thousands of locks may be lost in one step.
 */
export class Notifications {
  readonly #urgent = new Items();
  readonly #items = new Items();
  #depth = 0;
  #draining = false;

  /** Runs a change of state; what it posts is delivered when the outermost change is complete. */
  during<R>(change: () => R): R {
    this.#depth++;
    try {
      return change();
    } finally {
      this.#depth--;
      this.#drain();
    }
  }

  post(item: () => void): void {
    this.#items.push(item);
    this.#drain();
  }

  postUrgent(item: () => void): void {
    this.#urgent.push(item);
    this.#drain();
  }

  #drain(): void {
    if (this.#depth > 0 || this.#draining) return;
    this.#draining = true;
    try {
      for (let item = this.#next(); item !== undefined; item = this.#next()) item();
    } finally {
      this.#draining = false;
    }
  }

  #next(): (() => void) | undefined {
    return this.#urgent.shift() ?? this.#items.shift();
  }
}

/** First in, first out. `Array.shift` moves all that is left, of tens of thousands when many locks end in one step. */
class Items {
  #list: ((() => void) | undefined)[] = [];
  #next = 0;

  push(item: () => void): void {
    this.#list.push(item);
  }

  shift(): (() => void) | undefined {
    if (this.#next === this.#list.length) return undefined;
    const item = this.#list[this.#next];
    this.#list[this.#next++] = undefined;
    if (this.#next === this.#list.length) {
      this.#list = [];
      this.#next = 0;
    }
    return item;
  }
}
