import { createHash } from 'node:crypto';
import type { Cursor, Scope, StoredRecord } from '../../contract/backend.ts';

/** Where a look stood. */
export interface Position {
  /** Of the connection that listened; `undefined`: there was none. */
  readonly epoch: string | undefined;
  /** How many notices had come when the look was sent. */
  readonly notices: number;
  /** On the monotonic clock: when the first of the sessions it showed may end, if none is renewed. */
  readonly ends?: number;
  /** Set when only these keys can change the answer. */
  readonly seen?: readonly string[];
  /** There was nothing else in the scope. */
  readonly complete?: boolean;
}

/** More than these are not worth being told one by one. */
const MOST_SEEN = 8;

/** @param more whether there was more in the scope than was asked for. */
export function seenOf(
  scope: Scope,
  records: readonly StoredRecord[],
  more: boolean,
): Pick<Position, 'seen' | 'complete'> {
  const isBounded = scope.youngest !== undefined || scope.oldest === records.length;
  // Whatever is made from now on is younger: it neither belongs to the youngest before, nor pushes out one of the oldest.
  if (!isBounded || records.length > MOST_SEEN) return {};
  return { seen: records.map(({ key }) => key), complete: scope.youngest !== undefined && !more };
}

export function encodeCursor({ epoch = '', notices, ends, seen, complete }: Position): Cursor {
  return JSON.stringify([epoch, notices, ends ?? null, ...(seen === undefined ? [] : [seen, complete])]);
}

/** Of who looks from time to time: another one as soon as anything in it is. */
export function digestOf(records: readonly StoredRecord[]): Cursor {
  const hash = createHash('sha256');
  for (const { key, revision, session } of records)
    hash.update(`${JSON.stringify(key)} ${revision} ${session ?? ''}\n`);
  return hash.digest('base64');
}

/** `undefined` for what is no cursor of this backend. */
export function decodeCursor(cursor: Cursor): Position | undefined {
  try {
    const [epoch, notices, ends, seen, complete = false] = JSON.parse(cursor) as [
      string,
      number,
      number | null,
      string[]?,
      boolean?,
    ];
    if (typeof epoch !== 'string' || typeof notices !== 'number') return undefined;
    return {
      epoch: epoch === '' ? undefined : epoch,
      notices,
      ...(ends !== null && { ends }),
      ...(seen !== undefined && { seen: [...seen], complete }),
    };
  } catch {
    return undefined;
  }
}
