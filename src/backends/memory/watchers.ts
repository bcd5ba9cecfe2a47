import type { Place } from './interest.ts';

export type Wake = () => void;

/**
 * Who waits for what. A change finds its watchers by its key, and by the prefixes of its key that have a length
 * somebody watches, so the cost does not depend on how many wait elsewhere.
 */
export class Watchers {
  readonly #all = new Set<Wake>();
  readonly #byKey = new Map<string, Set<Wake>>();
  readonly #byPrefix = new Map<number, Map<string, Set<Wake>>>();

  get size(): number {
    return this.#all.size;
  }

  /** Returns how to stop watching. Each watcher needs a function of its own. */
  add(place: Place, wake: Wake): () => void {
    this.#all.add(wake);
    if ('keys' in place) {
      for (const key of place.keys) insert(this.#byKey, key, wake);
    } else {
      const length = place.prefix.length;
      const sameLength = this.#byPrefix.get(length) ?? new Map<string, Set<Wake>>();
      this.#byPrefix.set(length, sameLength);
      insert(sameLength, place.prefix, wake);
    }
    return () => this.#remove(place, wake);
  }

  notify(keys: Iterable<string>): void {
    const woken = new Set<Wake>();
    for (const key of keys) {
      for (const wake of this.#byKey.get(key) ?? []) woken.add(wake);
      for (const [length, watched] of this.#byPrefix) {
        if (length > key.length) continue;
        for (const wake of watched.get(key.slice(0, length)) ?? []) woken.add(wake);
      }
    }
    this.#wake(woken);
  }

  notifyAll(): void {
    this.#wake([...this.#all]);
  }

  /** Waking one may lead, by a session found expired, to another being woken and leaving before its turn here. */
  #wake(woken: Iterable<Wake>): void {
    for (const wake of woken) {
      if (this.#all.has(wake)) wake();
    }
  }

  #remove(place: Place, wake: Wake): void {
    this.#all.delete(wake);
    if ('keys' in place) {
      for (const key of place.keys) remove(this.#byKey, key, wake);
      return;
    }
    const length = place.prefix.length;
    const sameLength = this.#byPrefix.get(length);
    if (sameLength === undefined) return;
    remove(sameLength, place.prefix, wake);
    if (sameLength.size === 0) this.#byPrefix.delete(length);
  }
}

function insert(index: Map<string, Set<Wake>>, at: string, wake: Wake): void {
  const wakes = index.get(at);
  if (wakes === undefined) index.set(at, new Set([wake]));
  else wakes.add(wake);
}

function remove(index: Map<string, Set<Wake>>, at: string, wake: Wake): void {
  const wakes = index.get(at);
  wakes?.delete(wake);
  if (wakes?.size === 0) index.delete(at);
}
