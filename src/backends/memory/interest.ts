import type { Revision, Scope } from '../../contract/backend.ts';
import type { Row } from './records.ts';

/** One record appeared, changed or went; `created` is that of the record, which places it in a queue. */
export interface Change {
  readonly key: string;
  readonly created: Revision;
  readonly revision: Revision;
}

/** Where to listen for what can alter a view. */
export type Place = { readonly keys: readonly string[] } | { readonly prefix: string };

/** Whether this change alters what the scope shows, given what it shows now. */
export function alters(change: Change, scope: Scope, shown: readonly Row[]): boolean {
  if (scope.key !== undefined) return change.key === scope.key;
  if (!change.key.startsWith(scope.prefix)) return false;
  if (scope.youngest !== undefined) {
    return change.created < scope.before && change.created >= (shown[scope.youngest - 1]?.created ?? 0n);
  }
  if (scope.oldest !== undefined) {
    const last = shown[scope.oldest - 1];
    return last === undefined || change.created <= last.created;
  }
  return true;
}

/**
 * A bounded scope that is full can only change through the records it shows, because whatever comes is younger.
 * So the rest of a queue sleeps when its head goes: no herd.
 */
export function placeOf(scope: Scope, shown: readonly Row[], revision: Revision): Place {
  if (scope.key !== undefined) return { keys: [scope.key] };
  const full =
    (scope.youngest !== undefined && scope.before <= revision + 1n) ||
    (scope.oldest !== undefined && shown.length === scope.oldest);
  return full ? { keys: shown.map((row) => row.key) } : { prefix: scope.prefix };
}
