import { clearImmediate, setImmediate } from '../../async/platform.ts';
import type { Cursor, Scope, StoredRecord } from '../../contract/backend.ts';
import { isSyncError, OVER, refused } from '../../contract/errors.ts';
import type { Cancel, Look, News } from '../kit/driver.ts';
import { decodeCursor, encodeCursor, MAX_SEEN, type Position, positionOf, watchedOf } from './scope.ts';
import type { Wake, Watches } from './watches.ts';

/** As `Driver.follow`. */
export function follow(
  watches: Watches,
  scope: Scope,
  since: Cursor,
  news: (news: News) => void,
  look: Look,
): Cancel {
  const position = decodeCursor(since);
  if (position === undefined) {
    news(CHANGED);
    return () => {};
  }
  if (scope.youngest !== undefined && position.seen !== undefined) {
    return new Turn(watches, scope, position, news).begin(look);
  }
  const wake = (told: Wake): void => news(newsOf(told));
  const from = position.revision + 1n;
  const cancels = watchedOf(scope, position).map((range) => watches.watch(range, from, wake));
  return () => {
    for (const cancel of cancels) cancel();
  };
}

const CHANGED: News = { why: 'changed' };

function newsOf(wake: Wake): News {
  if (wake.why === 'failed') return wake;
  // The next watch goes by a stream with new credentials.
  if (wake.why === 'changed' || !wake.final) return CHANGED;
  const error = refused('permission-denied', `etcd refused a watch (${wake.reason})`);
  return { why: 'refused', error };
}

/**
 * The way of those who wait for their turn. First the watches, then a look at what they are on: from then on nothing is
 * missed. If that is all there is in the scope, then the news that some of it went says what is left, without a read.
 */
class Turn {
  readonly #watches: Watches;
  readonly #scope: Scope;
  readonly #position: Position;
  readonly #news: (news: News) => void;
  readonly #looking = new AbortController();
  #cancels: readonly Cancel[] = [];
  /** What is in the scope, if that is known. */
  #shown: readonly StoredRecord[] | undefined;
  #telling: NodeJS.Immediate | undefined;

  constructor(watches: Watches, scope: Scope, position: Position, news: (news: News) => void) {
    this.#watches = watches;
    this.#scope = scope;
    this.#position = position;
    this.#news = news;
  }

  begin(look: Look): Cancel {
    const ranges = watchedOf(this.#scope, this.#position);
    let unopened = ranges.length;
    const opened = (): void => {
      unopened -= 1;
      if (unopened > 0) return;
      this.#compare(look).catch((error: unknown) => {
        if (!this.#looking.signal.aborted && isSyncError(error)) this.#news({ why: 'failed', error });
      });
    };
    const wake = (told: Wake): void => this.#wake(told);
    this.#cancels = ranges.map((range) => this.#watches.follow(range, opened, wake));
    return () => {
      clearImmediate(this.#telling);
      this.#looking.abort(OVER);
      for (const cancel of this.#cancels) cancel();
    };
  }

  async #compare(look: Look): Promise<void> {
    const { signal } = this.#looking;
    const records = await this.#again(look, signal);
    if (signal.aborted) return;
    if (isNews(this.#position, records)) this.#news(CHANGED);
    else if (this.#position.complete) this.#shown = records;
  }

  /** Key by key: to look at the scope, the server looks at all there is under its prefix. */
  async #again(look: Look, signal: AbortSignal): Promise<readonly StoredRecord[]> {
    const { seen = [] } = this.#position;
    if (seen.length > MAX_SEEN) return (await look(this.#scope, signal)).records;
    const found = await Promise.all(seen.map((key) => look({ key }, signal)));
    return found.flatMap(({ records }) => records);
  }

  #wake(told: Wake): void {
    if (told.why !== 'changed' || told.removed === undefined || this.#shown === undefined) {
      this.#news(newsOf(told));
      return;
    }
    const { keys, at: revision } = told.removed;
    this.#shown = this.#shown.filter(({ key }) => !keys.includes(key));
    // What went in the same step is told in the same breath, but watch by watch.
    this.#telling ??= setImmediate(() => {
      const records = this.#shown ?? [];
      const at = encodeCursor(positionOf(this.#scope, { revision, records, more: false }));
      this.#news({ why: 'shown', shown: { records, at } });
    });
  }
}

function isNews({ revision, seen = [] }: Position, records: readonly StoredRecord[]): boolean {
  return (
    records.length !== seen.length ||
    records.some((record) => record.revision > revision || !seen.includes(record.key))
  );
}
