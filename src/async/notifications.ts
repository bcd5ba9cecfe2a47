import { Fifo } from './fifo.ts';

/**
 * What the outside is told, after the inside is settled: a listener may call right back into the engine, and must
 * find it in the state it was told of. Items are delivered in order, also those that a listener causes; those that end
 * somebody's work come before all others, since thousands of locks may be lost in one step.
 */
export class Notifications {
  readonly #urgent = new Fifo<() => void>();
  readonly #items = new Fifo<() => void>();
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
