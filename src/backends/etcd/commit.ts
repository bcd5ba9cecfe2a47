import type { Commit, CommitResult, Condition, Mutation, Revision } from '../../sync/backend.ts';
import { recordsOf } from './query.ts';
import { rangeOf } from './scope.ts';
import {
  type Compare,
  leaseOf,
  NO_LEASE,
  type RequestOp,
  type TxnRequest,
  type TxnResponse,
} from './wire.ts';

export function transactionOf({ when, then, read }: Commit): TxnRequest {
  const reading: RequestOp[] = read === undefined ? [] : [{ request_range: rangeOf(read) }];
  return {
    compare: when.map(compareOf),
    success: [...then.map(operationOf), ...reading],
    failure: reading,
  };
}

/** `revision` is that of the whole request, which is what all of its puts get. */
export function resultOf({ read }: Commit, response: TxnResponse, revision: Revision): CommitResult {
  const found = read === undefined ? undefined : recordsOf(response.responses.at(-1)?.response_range);
  const reply = found === undefined ? {} : { read: found };
  return response.succeeded ? { ok: true, revision, ...reply } : { ok: false, why: 'conflict', ...reply };
}

function compareOf(condition: Condition): Compare {
  const equal = { key: Buffer.from(condition.key), result: 'Equal' } as const;
  if ('revision' in condition) return { ...equal, target: 'Mod', mod_revision: String(condition.revision) };
  if ('session' in condition) return { ...equal, target: 'Lease', lease: leaseOf(condition.session) };
  switch (condition.is) {
    case 'absent':
      return { ...equal, target: 'Create', create_revision: '0' };
    case 'unowned':
      // True for a key that does not exist, too.
      return { ...equal, target: 'Lease', lease: NO_LEASE };
  }
}

function operationOf(mutation: Mutation): RequestOp {
  if ('remove' in mutation) return { request_delete_range: { key: Buffer.from(mutation.remove) } };
  const { put, value, session } = mutation;
  const lease = session === undefined ? NO_LEASE : leaseOf(session);
  return { request_put: { key: Buffer.from(put), value: Buffer.from(value), lease } };
}
