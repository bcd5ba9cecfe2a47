/**
 * The parts of etcd's messages that are used here, as npm etcd3 gives them: 64-bit numbers are decimal strings. Those of
 * transactions and reads are in `request.ts` and `reply.ts`.
 */

export interface Header {
  readonly revision: string;
}

export interface WatchEvent {
  /** As npm etcd3 spells them, unlike the server. */
  readonly type: 'Put' | 'Delete';
  readonly kv: { readonly key: Buffer; readonly mod_revision: string } | null;
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
