import { isSyncError } from '../../../src/contract/errors.ts';
import type { World } from '../world.ts';

/** Below which each key is written at most once, and says what was to be written with a claim or with its release. */
export const PROMISED = 'promised/';

/** What callers were told of commits, beside what the store has accepted: `written` is so, and `refused` never will be. */
export class Promises {
  readonly #world: World;
  readonly #accepted = new Set<string>();
  readonly #refused = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  /** A key of its own. */
  next(): string {
    return `${PROMISED}${this.#world.nextNumber()}`;
  }

  accepted(key: string): void {
    this.#accepted.add(key);
    if (this.#refused.has(key)) this.#world.violate('written although it was told that it was not', key);
  }

  written(key: string): void {
    if (!this.#accepted.has(key)) this.#world.violate('not written although it was told that it was', key);
  }

  refused(key: string): void {
    this.#refused.add(key);
    if (this.#accepted.has(key)) this.#world.violate('told that it was not written, although it was', key);
  }

  /** Of any other error nobody knows. */
  failed(key: string, error: unknown): void {
    if (isSyncError(error) && error.outcome === 'refused') this.refused(key);
  }
}
