import type { Revision, Scope, StoredRecord } from '../../contract/backend.ts';
import { byCreation } from '../../contract/order.ts';

export type Bounded = Extract<Scope, { readonly oldest: number } | { readonly youngest: number }>;

/** All records below a prefix that one commit made, as they were at a revision. */
export interface Peers {
  readonly prefix: string;
  readonly created: Revision;
  readonly asOf: Revision;
  readonly key?: never;
}

export function isBounded(scope: Scope | undefined): scope is Bounded {
  return scope !== undefined && scope.key === undefined && (scope.oldest ?? scope.youngest) !== undefined;
}

export function boundOf(scope: Bounded): number {
  return scope.oldest ?? scope.youngest;
}

/**
 * etcd leaves records of the same creation in any order, and cuts them off in that. So it is asked for one record more than is
 * wanted: if that one is as old as the last of those wanted, then all that are as old have to be looked at.
 *
 * @param found in the order of their creation, at that revision
 */
export async function exactly(
  scope: Bounded,
  found: readonly StoredRecord[],
  asOf: Revision,
  read: (peers: Peers) => Promise<readonly StoredRecord[]>,
): Promise<readonly StoredRecord[]> {
  const bound = boundOf(scope);
  const [last, next] = [found[bound - 1], found[bound]];
  let records = found;
  if (last !== undefined && last.created === next?.created) {
    const { created } = last;
    const peers = await read({ prefix: scope.prefix, created, asOf });
    records = [...found.filter((record) => record.created !== created), ...peers];
  }
  const order = records.toSorted(byCreation);
  return (scope.oldest === undefined ? order.reverse() : order).slice(0, bound);
}
