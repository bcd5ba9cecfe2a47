import { TextDecoder } from 'node:util';
import { distinctUntilChanged, map, type Observable, ReplaySubject, share } from 'rxjs';
import type { BackendTraits, Scope, StoredRecord } from '../../contract/backend.ts';
import type { JsonValue } from '../callers/metadata.ts';
import type { View, Views } from '../callers/views.ts';

/** Who holds a key, as its record at the store says. */
export interface Holder {
  /** The id of the holder's session at the store. */
  readonly session: string;
  /** What the holder wrote there; `undefined` if that is not JSON. */
  readonly metadata: JsonValue | undefined;
  /** The same as it stands there, such as a proposal by a Go program or by `etcdctl elect`, which may be any text. */
  readonly value: Uint8Array;
  /**
   * Since when it could not be looked at any more, by the wall clock in milliseconds: so it was then. Told again without it once
   * a look succeeds.
   */
  readonly staleSince?: number;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Who holds the lock that is kept at a path, without contending for it: no session, no write. `undefined`: nobody. */
export function observeHolder(
  views: Views,
  { contention }: BackendTraits,
  path: string,
): Observable<Holder | undefined> {
  const scope: Scope = contention === 'queue' ? { prefix: path, oldest: 1 } : { key: path };
  return views
    .observe(scope)
    .pipe(map(holderIn), distinctUntilChanged(isSame), share({ connector: () => new ReplaySubject(1) }));
}

/** For who looks: the record may have been put again as it was. */
function isSame(a: Holder | undefined, b: Holder | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.session === b.session && a.staleSince === b.staleSince && Buffer.compare(a.value, b.value) === 0;
}

/** Nobody, where it has no session. */
function holderIn({ records: [first], staleSince }: View): Holder | undefined {
  const { session, value }: Partial<StoredRecord> = first ?? {};
  if (session === undefined || value === undefined) return undefined;
  const stale = staleSince === undefined ? {} : { staleSince };
  return { session, metadata: metadataIn(value), value, ...stale };
}

function metadataIn(value: Uint8Array): JsonValue | undefined {
  try {
    return JSON.parse(decoder.decode(value)) as JsonValue;
  } catch {
    return undefined;
  }
}
