import {
  type Cursor,
  type QueryOptions,
  type QueryResult,
  type Scope,
  type StoredRecord,
  SyncError,
} from '../../sync/backend.ts';
import type { Wake, WatchHub } from './hub.ts';
import { OVER } from './lifetime.ts';
import { decodeRange } from './reply.ts';
import { encodeRange } from './request.ts';
import { decodeCursor, encodeCursor, type KeyRange, type Position, positionOf, watchedOf } from './scope.ts';
import type { Transport } from './transport.ts';

/** Milliseconds. The longest that a query blocks. */
const MAX_WAIT = 60_000;

const RANGE = '/etcdserverpb.KV/Range';

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
    const bound = Math.min(wait ?? MAX_WAIT, MAX_WAIT);
    const outcome =
      'youngest' in scope
        ? await this.#followed(scope, position, bound, signal)
        : await this.#changed(scope, position, bound, signal);
    if ('records' in outcome) return outcome;
    if (outcome.why === 'failed') throw outcome.error;
    // A denied watch and a denied read are the same permission: the read tells, with a fresh token if need be.
    const result = await this.#read(scope, signal);
    const trouble = troubleIn(outcome);
    if (trouble !== undefined) throw trouble;
    return result;
  }

  /** Wakes once, never at once; see `Backend.watch`. */
  watch(key: string, since: Cursor, wake: (error?: SyncError) => void): () => void {
    const position = decodeCursor(since);
    if (position === undefined) {
      const soon = setImmediate(wake);
      return () => clearImmediate(soon);
    }
    return this.#hub.watch({ key: Buffer.from(key) }, position.revision + 1n, (news) =>
      wake(troubleIn(news)),
    );
  }

  async #read(scope: Scope, signal: AbortSignal): Promise<QueryResult & { readonly complete: boolean }> {
    const { records, revision, more } = await this.#transport.call(
      { path: RANGE, request: encodeRange(scope), decode: decodeRange, repeatable: true },
      signal,
    );
    const at = encodeCursor(positionOf(scope, revision, records));
    return { records, at, complete: !more };
  }

  /**
   * The way of those who wait for their turn. First the watches, then a read: from then on nothing is missed. If it
   * showed all there is in the scope, then the news that some of it went says what is left, without another read.
   */
  #followed(
    scope: Scope,
    position: Position,
    wait: number,
    signal: AbortSignal,
  ): Promise<Wake | QueryResult> {
    return this.#transport.lifetime.run<Wake | QueryResult>(signal, ({ resolve, reject }) => {
      const timer = setTimeout(() => resolve({ why: 'changed' }), wait);
      let reading: AbortController | undefined;
      const ranges = watchedOf(scope, position);
      let unopened = ranges.length;
      let telling: NodeJS.Immediate | undefined;
      let shown: readonly StoredRecord[] | undefined;
      const look = async (): Promise<void> => {
        reading = new AbortController();
        const { complete, ...result } = await this.#read(scope, reading.signal);
        reading = undefined;
        if (isNews(position, result.records)) resolve(result);
        else if (complete) shown = result.records;
      };
      const opened = (): void => {
        unopened -= 1;
        if (unopened === 0) look().catch(reject);
      };
      const wake = (news: Wake): void => {
        if (news.why !== 'changed' || news.removed === undefined || shown === undefined) {
          resolve(news);
          return;
        }
        const { keys, at } = news.removed;
        shown = shown.filter(({ key }) => !keys.includes(key));
        // What went in the same step is told in the same breath, but watch by watch.
        telling ??= setImmediate(() => {
          const records = shown ?? [];
          resolve({ records, at: encodeCursor(positionOf(scope, at, records)) });
        });
      };
      const cancels = ranges.map((range) => this.#hub.follow(range, opened, wake));
      return () => {
        clearTimeout(timer);
        clearImmediate(telling);
        reading?.abort(OVER);
        for (const cancel of cancels) cancel();
      };
    });
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

/** Why another watch would come to the same end. */
function troubleIn(wake: Wake): SyncError | undefined {
  if (wake.why === 'failed') return wake.error;
  if (wake.why === 'changed' || !wake.final) return undefined;
  return new SyncError('permission-denied', `etcd refused a watch (${wake.reason}).`);
}

function isNews({ revision, seen = [] }: Position, records: readonly StoredRecord[]): boolean {
  return (
    records.length !== seen.length ||
    records.some((record) => record.revision > revision || !seen.includes(record.key))
  );
}
