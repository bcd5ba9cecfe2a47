import type { Cursor, Revision, Scope, StoredRecord } from '../../contract/backend.ts';

/** A key, or with an end all keys from the first up to it. */
export interface KeyRange {
  readonly key: Buffer;
  readonly range_end?: Buffer;
}

/** Where a query stood. */
export interface Position {
  readonly revision: Revision;
  /** Set when only these keys can change its answer. */
  readonly seen?: readonly string[];
  /** Whether there was nothing in the scope but what was seen. */
  readonly complete?: boolean;
}

/** What a read showed. */
interface Shown {
  readonly revision: Revision;
  readonly records: readonly StoredRecord[];
  readonly more: boolean;
}

/** With more keys than this, one watch or read of the prefix is cheaper than one of each. */
export const MAX_SEEN = 8;
/** etcd's sign for "from here to the end", and, as a key, for the beginning. */
const EDGE = Buffer.from([0]);

export function positionOf(scope: Scope, { revision, records, more }: Shown): Position {
  const keys = records.map((record) => record.key);
  // Whatever is created from now on is younger than what was asked for.
  if (scope.youngest !== undefined && scope.before <= revision + 1n)
    return { revision, seen: keys, complete: !more };
  if (scope.oldest !== undefined && keys.length === scope.oldest && keys.length <= MAX_SEEN)
    return { revision, seen: keys };
  return { revision };
}

/** What has to be watched to learn that the answer has changed. */
export function watchedOf(scope: Scope, { seen }: Position): readonly KeyRange[] {
  if (seen !== undefined) return seen.map((key) => ({ key: Buffer.from(key) }));
  return [scope.key !== undefined ? { key: Buffer.from(scope.key) } : prefixRange(scope.prefix)];
}

export function encodeCursor({ revision, seen, complete }: Position): Cursor {
  const parts: unknown[] = [String(revision)];
  if (seen !== undefined) parts.push(seen);
  if (complete) parts.push(complete);
  return JSON.stringify(parts);
}

/** `undefined` for what is not a cursor of this backend: the query then answers at once. */
export function decodeCursor(cursor: Cursor): Position | undefined {
  try {
    const [revision, seen, complete = false] = JSON.parse(cursor) as [string, string[]?, boolean?];
    return seen === undefined
      ? { revision: BigInt(revision) }
      : { revision: BigInt(revision), seen: [...seen], complete };
  } catch {
    return undefined;
  }
}

function prefixRange(prefix: string): KeyRange {
  if (prefix === '') return { key: EDGE, range_end: EDGE };
  const key = Buffer.from(prefix);
  const end = Buffer.from(key);
  // No byte of UTF-8 is 0xff, so there is never a carry.
  end[end.length - 1] = (end[end.length - 1] as number) + 1;
  return { key, range_end: end };
}
