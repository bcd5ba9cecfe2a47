import { createHash } from 'node:crypto';
import { type Cursor, REFUSED, type Scope, SyncError } from '../../sync/backend.ts';
import { checkKey, checkPrefix } from './keys.ts';
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

export function checkScope(scope: Scope): void {
  if ('key' in scope) checkKey(scope.key);
  else checkPrefix(scope.prefix);
  if ('oldest' in scope) checkCount('oldest', scope.oldest);
  if ('youngest' in scope) checkCount('youngest', scope.youngest);
}

function checkCount(name: string, count: number): void {
  if (Number.isSafeInteger(count) && count > 0) return;
  throw new SyncError(
    'invalid-option',
    `"${name}" must be a whole number above 0, not ${String(count)}`,
    REFUSED,
  );
}

export function targetOf(scope: Scope): Target {
  return 'key' in scope ? { text: scope.key, tree: false } : { text: scope.prefix, tree: true };
}

/** Narrows a listing down to a scope. Consul has no order but that of the keys, so the rest is done here. */
export function select(scope: Scope, entries: readonly Entry[]): readonly Entry[] {
  if ('key' in scope) return entries.filter(({ key }) => key === scope.key);
  const inside = entries.filter(({ key }) => key.startsWith(scope.prefix));
  if ('oldest' in scope) return byCreation(inside).slice(0, scope.oldest);
  if ('youngest' in scope) {
    const { youngest, before } = scope;
    return byCreation(inside.filter(({ created }) => created < before))
      .toReversed()
      .slice(0, youngest);
  }
  return inside;
}

/**
 * The cursor is the index of the read and a digest of what was seen. The digest finds the change in a listing of
 * another extent, whose index is another. The index tells that something may have come and gone.
 */
export function cursorOf(scope: Scope, { index, entries }: Listing): Cursor {
  return `${index}:${digestOf(select(scope, entries))}`;
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

/** For an absent key and an empty prefix it is always the same. */
export function digestOf(entries: readonly Entry[]): string {
  if (entries.length === 0) return '-';
  const hash = createHash('sha256');
  for (const { key, created, modified, session } of entries) {
    hash.update(JSON.stringify([key, `${created}`, `${modified}`, session ?? '']));
  }
  return hash.digest('base64url').slice(0, 22);
}

function byCreation(entries: readonly Entry[]): Entry[] {
  // Records of one transaction share their index; then the key decides, so that every client sees one order.
  return entries.toSorted((a, b) => Number(a.created - b.created) || (a.key < b.key ? -1 : 1));
}
