import {
  type QueryOptions,
  type QueryResult,
  type Scope,
  type StoredRecord,
  SyncError,
} from '../../sync/backend.ts';
import { badResponse } from './errors.ts';
import type { Wake, WatchHub } from './hub.ts';
import {
  decodeCursor,
  encodeCursor,
  type KeyRange,
  type Position,
  positionOf,
  rangeOf,
  watchedOf,
} from './scope.ts';
import type { Transport } from './transport.ts';
import { type Header, type RangeResponse, recordOf } from './wire.ts';

/** Milliseconds. The longest that a query blocks. */
const MAX_WAIT = 60_000;

export class Queries {
  readonly #transport: Transport;
  readonly #hub: WatchHub;

  constructor(transport: Transport, hub: WatchHub) {
    this.#transport = transport;
    this.#hub = hub;
  }

  async query(scope: Scope, { since, wait, signal }: QueryOptions): Promise<QueryResult> {
    const position = since === undefined ? undefined : decodeCursor(since);
    if (position === undefined) return this.#read(scope, signal);
    const wake = await this.#changed(scope, position, Math.min(wait ?? MAX_WAIT, MAX_WAIT), signal);
    if (wake.why === 'failed') throw wake.error;
    // A denied watch and a denied read are the same permission: the read tells, with a fresh token if need be.
    const result = await this.#read(scope, signal);
    if (wake.why === 'refused' && wake.final) {
      throw new SyncError('permission-denied', `etcd refused a watch (${wake.reason}).`);
    }
    return result;
  }

  async #read(scope: Scope, signal: AbortSignal): Promise<QueryResult> {
    const response = await this.#transport.call<RangeResponse>(
      { service: 'KV', method: 'range', request: rangeOf(scope), repeatable: true },
      signal,
    );
    const records = recordsOf(response);
    const revision = revisionOf(response.header);
    return { records, at: encodeCursor(positionOf(scope, revision, records)) };
  }

  #changed(scope: Scope, position: Position, wait: number, signal: AbortSignal): Promise<Wake> {
    return this.#transport.lifetime.run<Wake>(signal, ({ resolve }) => {
      const timer = setTimeout(() => resolve({ why: 'changed' }), wait);
      const watch = (range: KeyRange) => this.#hub.watch(range, position.revision + 1n, resolve);
      const cancels = watchedOf(scope, position).map(watch);
      return () => {
        clearTimeout(timer);
        for (const cancel of cancels) cancel();
      };
    });
  }
}

export function recordsOf(response: RangeResponse | undefined): StoredRecord[] {
  if (!Array.isArray(response?.kvs)) throw badResponse('the server', 'a range without records');
  return response.kvs.map(recordOf);
}

export function revisionOf(header: Header | null | undefined): bigint {
  if (!header) throw badResponse('the server', 'no header');
  return BigInt(header.revision);
}
