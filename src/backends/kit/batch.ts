import type { BatchLimits } from './driver.ts';
import type { Footprint } from './footprint.ts';

/**
 * Requests that do not touch one another, so that it makes no difference in which order they are carried out: a server may
 * compare for all of a batch before it writes for any, and take no two writes to one key.
 */
export class Batch<M> {
  readonly members: M[] = [];
  readonly #limits: BatchLimits;
  /** Of the first one, until there is a second: most batches have one member, and three collections each would be much garbage. */
  #first: Footprint | undefined;
  #touched: Touched | undefined;
  #bytes = 0;
  #cost = 0;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  takes(footprint: Footprint): boolean {
    if (this.#cost + footprint.cost > this.#limits.cost) return false;
    if (this.#bytes + footprint.bytes > this.#limits.bytes) return false;
    if (this.#touched === undefined && this.#first !== undefined) {
      this.#touched = new Touched();
      this.#touched.add(this.#first);
    }
    return this.#touched?.touches(footprint) !== true;
  }

  /** The first one is taken whatever it costs: it goes by itself then. */
  add(member: M, footprint: Footprint): void {
    this.members.push(member);
    this.#cost += footprint.cost;
    this.#bytes += footprint.bytes;
    if (this.#touched !== undefined) this.#touched.add(footprint);
    else this.#first = footprint;
  }
}

class Touched {
  readonly #keys = new Set<string>();
  /** By their length, to find those that a key lies under. */
  readonly #prefixes = new Map<number, Set<string>>();
  /** The beginnings of all of them, of each length that was asked for. */
  readonly #beginnings = new Map<number, Set<string>>();

  add({ keys, prefix }: Footprint): void {
    for (const key of keys) this.#keys.add(key);
    if (prefix !== undefined) {
      const sameLength = this.#prefixes.get(prefix.length);
      if (sameLength === undefined) this.#prefixes.set(prefix.length, new Set([prefix]));
      else sameLength.add(prefix);
    }
    for (const [length, beginnings] of this.#beginnings) {
      for (const name of keys) beginnings.add(name.slice(0, length));
      if (prefix !== undefined) beginnings.add(prefix.slice(0, length));
    }
  }

  touches({ keys, prefix }: Footprint): boolean {
    for (const name of keys) if (this.#isTouched(name)) return true;
    if (prefix === undefined) return false;
    return this.#isTouched(prefix) || this.#beginningsOf(prefix.length).has(prefix);
  }

  /** It is one of the keys, or lies under one of the prefixes. */
  #isTouched(name: string): boolean {
    if (this.#keys.has(name)) return true;
    for (const [length, same] of this.#prefixes) if (same.has(name.slice(0, length))) return true;
    return false;
  }

  /** What is shorter than that is there as it is, and is no prefix of that length. */
  #beginningsOf(length: number): Set<string> {
    let beginnings = this.#beginnings.get(length);
    if (beginnings === undefined) {
      beginnings = new Set();
      for (const key of this.#keys) beginnings.add(key.slice(0, length));
      for (const same of this.#prefixes.values())
        for (const prefix of same) beginnings.add(prefix.slice(0, length));
      this.#beginnings.set(length, beginnings);
    }
    return beginnings;
  }
}
