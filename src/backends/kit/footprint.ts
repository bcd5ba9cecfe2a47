import type { Commit } from '../../contract/backend.ts';
import { keyOf } from '../../contract/validate.ts';

/** What a request touches and costs. */
export interface Footprint {
  readonly keys: readonly string[];
  /** All keys that begin so. */
  readonly prefix?: string | undefined;
  /** Of the limit that a server sets for what is in one request. */
  readonly cost: number;
  readonly bytes: number;
}

export function footprintOf({ when, then, read, count }: Commit, cost: number, bytes: number): Footprint {
  const keys: string[] = [];
  for (const { key } of when) keys.push(key);
  for (const mutation of then) {
    const key = keyOf(mutation);
    // A lock's condition is about the record that it puts or removes.
    if (key !== keys[0]) keys.push(key);
  }
  if (read?.key !== undefined) keys.push(read.key);
  return { keys, prefix: read?.prefix ?? count, cost, bytes };
}

/** Whether it is about a record that is known: a look at it, its removal, or a write under its protection. A hold depends on it. */
export function isAboutKnown({ when }: Commit): boolean {
  for (const { is } of when) if (is === undefined) return true;
  return false;
}
