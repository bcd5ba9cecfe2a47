import { clearImmediate, clearTimeout, monotonic, setImmediate, setTimeout } from '../../async/platform.ts';
import type { Cursor, QueryOptions, QueryResult, Scope, StoredRecord } from '../../contract/backend.ts';
import { SyncError } from '../../contract/errors.ts';
import type { Wake, WatchHub } from './hub.ts';
import { OVER } from './lifetime.ts';
import type { Reads } from './reads.ts';
import {
  decodeCursor,
  encodeCursor,
  type KeyRange,
  MAX_SEEN,
  type Position,
  positionOf,
  watchedOf,
} from './scope.ts';
import type { Transport } from './transport.ts';

/** Milliseconds. The longest that a query blocks. */
const MAX_WAIT = 60_000;

/** Milliseconds. Waits that end at about the same time end together, and so travel the reads that follow. */
const SLOT = 500;

export class Queries {
  readonly #transport: Transport;
  readonly #hub: WatchHub;
  readonly #reads: Reads;

  constructor(transport: Transport, hub: WatchHub, reads: Reads) {
    this.#transport = transport;
    this.#hub = hub;
    this.#reads = reads;
  }

  async query(scope: Scope, { since, wait, signal }: QueryOptions): Promise<QueryResult> {
    const position = since === undefined ? undefined : decodeCursor(since);
    if (position === undefined) return this.#read(scope, signal);
    const bound = Math.min(wait ?? MAX_WAIT, MAX_WAIT);
    const outcome =
      scope.youngest !== undefined && position.seen !== undefined
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

  async #read(scope: Scope, signal: AbortSignal): Promise<QueryResult> {
    const shown = await this.#reads.read(scope, signal);
    return { records: shown.records, at: encodeCursor(positionOf(scope, shown)) };
  }

  /**
   * The way of those who wait for their turn. First the watches, then a look at what they are on: from then on nothing is
   * missed. If that is all there is in the scope, then the news that some of it went says what is left, without a read.
   */
  #followed(
    scope: Scope,
    position: Position,
    wait: number,
    signal: AbortSignal,
  ): Promise<Wake | QueryResult> {
    return this.#transport.lifetime.run<Wake | QueryResult>(signal, ({ resolve, reject }) => {
      const timer = setTimeout(() => resolve({ why: 'changed' }), untilSlot(wait));
      let looking: AbortController | undefined;
      const ranges = watchedOf(scope, position);
      let unopened = ranges.length;
      let telling: NodeJS.Immediate | undefined;
      let shown: readonly StoredRecord[] | undefined;
      const look = async (): Promise<void> => {
        looking = new AbortController();
        const records = await this.#again(scope, position, looking.signal);
        looking = undefined;
        if (isNews(position, records)) resolve({ why: 'changed' });
        else if (position.complete) shown = records;
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
        const { keys, at: revision } = news.removed;
        shown = shown.filter(({ key }) => !keys.includes(key));
        // What went in the same step is told in the same breath, but watch by watch.
        telling ??= setImmediate(() => {
          const records = shown ?? [];
          const at = encodeCursor(positionOf(scope, { revision, records, more: false }));
          resolve({ records, at });
        });
      };
      const cancels = ranges.map((range) => this.#hub.follow(range, opened, wake));
      return () => {
        clearTimeout(timer);
        clearImmediate(telling);
        looking?.abort(OVER);
        for (const cancel of cancels) cancel();
      };
    });
  }

  /** Key by key: to look at the scope, the server looks at all there is under its prefix. */
  async #again(scope: Scope, { seen = [] }: Position, signal: AbortSignal): Promise<readonly StoredRecord[]> {
    if (seen.length > MAX_SEEN) return (await this.#read(scope, signal)).records;
    const found = await Promise.all(seen.map((key) => this.#reads.read({ key }, signal)));
    return found.flatMap(({ records }) => records);
  }

  #changed(scope: Scope, position: Position, wait: number, signal: AbortSignal): Promise<Wake> {
    return this.#transport.lifetime.run<Wake>(signal, ({ resolve }) => {
      const timer = setTimeout(() => resolve({ why: 'changed' }), untilSlot(wait));
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
  return new SyncError('permission-denied', `etcd refused a watch (${wake.reason})`);
}

function isNews({ revision, seen = [] }: Position, records: readonly StoredRecord[]): boolean {
  return (
    records.length !== seen.length ||
    records.some((record) => record.revision > revision || !seen.includes(record.key))
  );
}

/** Short waits are kept as they are; a longer one may end a little earlier. */
function untilSlot(wait: number): number {
  if (wait < 4 * SLOT) return wait;
  const now = monotonic();
  return Math.floor((now + wait) / SLOT) * SLOT - now;
}
