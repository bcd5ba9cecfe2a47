import type { Keyspace } from './keyspace.ts';

/** A segment below which locks are kept where they queue, and under which some clients keep them where they race. */
const LOCK_SEGMENT = /(^|\/)\.lock(\/|$)/;

export function hasLockSegment(key: string): boolean {
  return LOCK_SEGMENT.test(key);
}

/**
 * What a commit must leave alone. A write there would take a lock away from its holder, or stand in everybody's way for good.
 * The same on every store, so that a service can change its backend.
 */
export class ProtectedKeys {
  readonly #claimed: { has(key: string): boolean }[];
  readonly #keyspace: Keyspace;
  /** Where locks are kept that have a name of their own, with their keys. The usual ones are known by their segment. */
  readonly #paths = new Map<string, string>();

  /** @param claimed the keys that are claimed, waited for, or not yet given back. */
  constructor(claimed: { has(key: string): boolean }, keyspace: Keyspace) {
    this.#claimed = [claimed];
    this.#keyspace = keyspace;
  }

  /** Others that are claimed, outside of the paths of locks. */
  include(claimed: { has(key: string): boolean }): void {
    this.#claimed.push(claimed);
  }

  add(key: string, path: string): void {
    if (path !== this.#keyspace.stored(key) && !hasLockSegment(path)) this.#paths.set(path, key);
  }

  forget(path: string): void {
    if (this.#paths.size > 0) this.#paths.delete(path);
  }

  /** Why a commit must not change this key, or nothing. */
  problem(key: string): string | undefined {
    if (hasLockSegment(key)) {
      return 'has the segment ".lock", under which locks are kept: give your data another name';
    }
    if (this.#claimed.some((claimed) => claimed.has(key))) {
      return 'is a lock or a claim that this process holds or waits for, and may be its very record: give your data another name, such as one below it';
    }
    const owner = this.#paths.size === 0 ? undefined : this.#above(this.#keyspace.stored(key));
    if (owner === undefined) return undefined;
    return `lies where the lock ${JSON.stringify(owner)} is kept, which this process holds or waits for: give your data another name`;
  }

  #above(key: string): string | undefined {
    for (let slash = key.indexOf('/'); slash >= 0; slash = key.indexOf('/', slash + 1)) {
      const owner = this.#paths.get(key.slice(0, slash + 1));
      if (owner !== undefined) return owner;
    }
    return undefined;
  }
}
