import { createHash } from 'node:crypto';
import type { Cursor, Scope, StoredRecord } from '../../contract/backend.ts';
import type { Row } from './database.ts';
import { recordOf, rowOf } from './statements.ts';

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
  /** What stood under them, if there was nothing else in the scope: when some of it is gone, the rest is all that is left. */
  readonly shown?: readonly StoredRecord[];
}

/** More than these are not worth being told one by one. */
const MOST_SEEN = 8;
/** Bytes of values: thousands wait at a time, each with a cursor of its own. */
const MOST_SHOWN = 1_024;

/** @param more whether there was more in the scope than was asked for. */
export function seenOf(
  scope: Scope,
  records: readonly StoredRecord[],
  more: boolean,
): Pick<Position, 'seen' | 'shown'> {
  const isBounded = scope.youngest !== undefined || scope.oldest === records.length;
  // Whatever is made from now on is younger: it neither belongs to the youngest before, nor pushes out one of the oldest.
  if (!isBounded || records.length > MOST_SEEN) return {};
  const seen = records.map(({ key }) => key);
  const bytes = records.reduce((sum, { value }) => sum + value.byteLength, 0);
  return scope.youngest === undefined || more || bytes > MOST_SHOWN ? { seen } : { seen, shown: records };
}

type Encoded = [epoch: string, notices: number, ends: number | null, seen?: readonly string[], shown?: Row[]];

export function encodeCursor({ epoch = '', notices, ends, seen, shown }: Position): Cursor {
  const encoded: Encoded = [epoch, notices, ends ?? null];
  if (seen !== undefined) encoded.push(seen);
  if (shown !== undefined) encoded.push(shown.map(rowOf));
  return JSON.stringify(encoded);
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
    const [epoch, notices, ends, seen, shown] = JSON.parse(cursor) as Encoded;
    if (typeof epoch !== 'string' || typeof notices !== 'number') return undefined;
    return {
      epoch: epoch === '' ? undefined : epoch,
      notices,
      ...(ends !== null && { ends }),
      ...(seen !== undefined && { seen: [...seen] }),
      ...(shown !== undefined && { shown: shown.map(recordOf) }),
    };
  } catch {
    return undefined;
  }
}
