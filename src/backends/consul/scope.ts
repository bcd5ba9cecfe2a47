import { createHash } from 'node:crypto';
import type { Cursor, Scope } from '../../contract/backend.ts';
import { byCreation } from '../../contract/order.ts';
import type { Entry } from './record.ts';

/** What one request can ask for: a key, or everything below a prefix. */
export interface Target {
  readonly text: string;
  readonly tree: boolean;
}

/** What a request found, and the index to wait from. */
export interface Listing {
  readonly index: bigint;
  readonly entries: readonly Entry[];
}

export function targetOf(scope: Scope): Target {
  return scope.key !== undefined ? { text: scope.key, tree: false } : { text: scope.prefix, tree: true };
}

/** Narrows a listing down to a scope. Consul has no order but that of the keys, so the rest is done here. */
export function select(scope: Scope, entries: readonly Entry[]): readonly Entry[] {
  if (scope.key !== undefined) {
    const entry = entryIn(entries, scope.key);
    return entry === undefined ? [] : [entry];
  }
  const inside = entries.filter(({ key }) => key.startsWith(scope.prefix));
  if (scope.oldest !== undefined) return inside.toSorted(byCreation).slice(0, scope.oldest);
  if (scope.youngest !== undefined) {
    const { youngest, before } = scope;
    const earlier = inside.filter(({ created }) => created < before);
    return earlier.sort((a, b) => byCreation(b, a)).slice(0, youngest);
  }
  return inside;
}

/** Of lists with more than this, an index is made: each of thousands who share a query looks for its own key. */
const MOST_SEARCHED = 8;

const indexed = new WeakMap<readonly Entry[], ReadonlyMap<string, Entry>>();

function entryIn(entries: readonly Entry[], key: string): Entry | undefined {
  if (entries.length <= MOST_SEARCHED) return entries.find((entry) => entry.key === key);
  let index = indexed.get(entries);
  if (index === undefined) {
    index = new Map(entries.map((entry) => [entry.key, entry]));
    indexed.set(entries, index);
  }
  return index.get(key);
}

/**
 * The cursor is the index of the read and a digest of what was seen. The digest finds the change in a listing of
 * another extent, whose index is another. The index tells that something may have come and gone.
 */
export function cursorOf(scope: Scope, { index, entries }: Listing): Cursor {
  return `${index}:${digestOf(scope, select(scope, entries))}`;
}

export interface Seen {
  readonly index: bigint;
  readonly digest: string;
}

/** `undefined` for what is no cursor of this backend: its owner has seen nothing of what we know. */
export function seenBy(cursor: Cursor): Seen | undefined {
  const [, index, digest] = /^(\d{1,20}):([\w-]+)$/.exec(cursor) ?? [];
  return index === undefined || digest === undefined ? undefined : { index: BigInt(index), digest };
}

/** Where whoever has put a record stands: the index is that of the record, and nothing that is older is news. */
export function cursorAfter(revision: bigint): Cursor {
  return `${revision}:${revision}`;
}

/**
 * For an absent key and an empty prefix it is always the same. Whatever happens to an entry gives it another index, and what
 * there can be only one of needs no more than that.
 */
export function digestOf(scope: Scope, entries: readonly Entry[]): string {
  const [first] = entries;
  if (first === undefined) return '-';
  if (scope.key !== undefined) return `${first.modified}`;
  const hash = createHash('sha256');
  for (const { key, modified } of entries) hash.update(JSON.stringify([key, `${modified}`]));
  return hash.digest('base64url').slice(0, 22);
}
