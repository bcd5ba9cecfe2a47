import type { Revision, Scope, StoredRecord } from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';
import { byCreation } from '../../contract/order.ts';
import type { Cancel } from '../kit/driver.ts';

type Bounded = Extract<Scope, { readonly oldest: number } | { readonly youngest: number }>;

/** All records below a prefix that one commit made, as they were at a revision. */
export interface Peers {
  readonly prefix: string;
  readonly created: Revision;
  readonly asOf: Revision;
  readonly key?: never;
}

/** What a read of a scope has found, in the order of creation, at that revision. */
export interface Found {
  readonly scope: Scope | undefined;
  readonly records: readonly StoredRecord[];
  readonly asOf: Revision;
}

export function isBounded(scope: Scope | undefined): scope is Bounded {
  return scope !== undefined && scope.key === undefined && (scope.oldest ?? scope.youngest) !== undefined;
}

export function boundOf(scope: Bounded): number {
  return scope.oldest ?? scope.youngest;
}

/**
 * etcd leaves records of the same creation in any order, and cuts them off in that. So it is asked for one record more than is
 * wanted: if that one is as old as the last of those wanted, then all that are as old have to be looked at. Nothing, most often.
 */
export function peersOf({ scope, records, asOf }: Found): Peers | undefined {
  if (!isBounded(scope)) return undefined;
  const bound = boundOf(scope);
  const [last, next] = [records[bound - 1], records[bound]];
  if (last === undefined || last.created !== next?.created) return undefined;
  return { prefix: scope.prefix, created: last.created, asOf };
}

/** As many as were asked for, in the one order that is the same for every client. */
export function exactly(
  { scope, records }: Found,
  peers: readonly StoredRecord[] | undefined,
): readonly StoredRecord[] {
  if (!isBounded(scope)) return records;
  const [one] = peers ?? [];
  const all = peers === undefined ? records : records.filter(({ created }) => created !== one?.created);
  const order = [...all, ...(peers ?? [])].sort(byCreation);
  return (scope.oldest === undefined ? order.reverse() : order).slice(0, boundOf(scope));
}

/** Reads them, in one request. */
export type LookAt = (
  peers: readonly Peers[],
  told: {
    shown(records: readonly (readonly StoredRecord[])[]): void;
    failed(error: SyncError): void;
  },
) => Cancel;

/** Calls `done` with what each of them shows, after another look where that is needed. */
export function lookAtPeers(
  found: readonly Found[],
  look: LookAt,
  steps: Steps,
  failed: (error: SyncError) => void,
  done: (exact: readonly (readonly StoredRecord[])[]) => void,
): void {
  const peers = found.map(peersOf);
  const wanted = peers.filter((each) => each !== undefined);
  if (wanted.length === 0) {
    done(found.map((each) => exactly(each, undefined)));
    return;
  }
  steps.next(() =>
    look(wanted, {
      shown: (records) => {
        const shown = records.values();
        done(found.map((each, n) => exactly(each, peers[n] && shown.next().value)));
      },
      failed,
    }),
  );
}

/** A request that may need another one after it, as one. */
export class Steps {
  #cancel: Cancel | undefined;
  #cancelled = false;

  first(cancel: Cancel): Cancel {
    this.#cancel ??= cancel;
    return () => {
      this.#cancelled = true;
      this.#cancel?.();
    };
  }

  next(begin: () => Cancel): void {
    if (!this.#cancelled) this.#cancel = begin();
  }
}
