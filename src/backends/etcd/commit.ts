import type { Commit, CommitResult, Condition, Mutation } from '../../sync/backend.ts';
import { isLeaseMissing } from './errors.ts';
import { recordsOf, revisionOf } from './query.ts';
import { rangeOf } from './scope.ts';
import { CallFailure, type Transport } from './transport.ts';
import { type Compare, leaseOf, NO_LEASE, type RequestOp, type TxnResponse } from './wire.ts';

/** One transaction. It is sent once: a repetition could not tell its own first run from somebody else's. */
export async function commit(
  transport: Transport,
  wanted: Commit,
  signal: AbortSignal,
): Promise<CommitResult> {
  const { when, then, read } = wanted;
  const reading: RequestOp[] = read === undefined ? [] : [{ request_range: rangeOf(read) }];
  const request = {
    compare: when.map(compareOf),
    success: [...then.map(operationOf), ...reading],
    failure: reading,
  };
  const repeatable = then.length === 0;
  let response: TxnResponse;
  try {
    response = await transport.call<TxnResponse>(
      { service: 'KV', method: 'txn', request, repeatable, expects: isLeaseMissing },
      signal,
    );
  } catch (error) {
    // The conditions held, but a put names a lease that is gone. The server undid nothing: it checks before it writes.
    if (error instanceof CallFailure) return { ok: false, why: 'session-gone' };
    throw error;
  }
  const revision = revisionOf(response.header);
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
