import type { StoredRecord } from '../../sync/backend.ts';

/** The parts of etcd's messages that are used here. 64-bit numbers are decimal strings. */

export interface Header {
  readonly revision: string;
}

export interface RangeRequest {
  readonly key: Buffer;
  readonly range_end?: Buffer;
  readonly limit?: string;
  readonly sort_order?: 'Ascend' | 'Descend';
  readonly sort_target?: 'Create';
  readonly max_create_revision?: string;
}

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly create_revision: string;
  readonly mod_revision: string;
  readonly lease: string;
}

export interface RangeResponse {
  readonly header: Header | null;
  readonly kvs: readonly KeyValue[];
  /** There are more than were asked for. */
  readonly more: boolean;
}

export interface WatchEvent {
  /** As npm etcd3 spells them, unlike the server. */
  readonly type: 'Put' | 'Delete';
  readonly kv: { readonly key: Buffer; readonly mod_revision: string } | null;
}

export interface Compare {
  readonly key: Buffer;
  readonly result: 'Equal';
  readonly target: 'Create' | 'Mod' | 'Lease';
  readonly create_revision?: string;
  readonly mod_revision?: string;
  readonly lease?: string;
}

export type RequestOp =
  | { readonly request_put: { readonly key: Buffer; readonly value: Buffer; readonly lease: string } }
  | { readonly request_delete_range: { readonly key: Buffer } }
  | { readonly request_range: RangeRequest }
  | { readonly request_txn: TxnRequest };

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export interface TxnResponse {
  readonly header: Header | null;
  readonly succeeded: boolean;
  readonly responses: readonly {
    readonly response_range?: RangeResponse;
    readonly response_txn?: TxnResponse;
  }[];
}

export interface WatchRequest {
  readonly create_request?: {
    readonly key: Buffer;
    readonly range_end?: Buffer;
    readonly start_revision: string;
    readonly watch_id: string;
  };
  readonly cancel_request?: { readonly watch_id: string };
}

export interface WatchResponse {
  readonly header: Header | null;
  readonly watch_id: string;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly cancel_reason: string;
  readonly events: readonly WatchEvent[];
}

export interface LeaseResponse {
  readonly ID: string;
  /** Seconds. */
  readonly TTL: string;
  readonly error?: string;
}

/** A lease that nobody has: the server draws its ids, and this is the very last one. */
const NO_SUCH_LEASE = String(2n ** 63n - 1n);
export const NO_LEASE = '0';

/** Lower-case hex without leading zeros, which is how Go's `concurrency` package writes it into a key. */
export function sessionOf(lease: string): string {
  return BigInt(lease).toString(16);
}

/** What is not an id of ours names a lease that does not exist, so that the server gives its usual answer. */
export function leaseOf(session: string): string {
  return /^[1-9a-f][0-9a-f]{0,15}$/.test(session)
    ? String(BigInt.asIntN(64, BigInt(`0x${session}`)))
    : NO_SUCH_LEASE;
}

export function recordOf(kv: KeyValue): StoredRecord {
  const key = kv.key.toString('utf8');
  const record = {
    key,
    // grpc-js gives out slices of one large message, which a kept value would hold as a whole.
    value: new Uint8Array(kv.value),
    session: kv.lease === NO_LEASE ? undefined : sessionOf(kv.lease),
    created: BigInt(kv.create_revision),
    revision: BigInt(kv.mod_revision),
  };
  if (key.includes('\ufffd') && !Buffer.from(key).equals(kv.key)) {
    return { ...record, foreign: 'its key is not UTF-8' };
  }
  return record;
}
