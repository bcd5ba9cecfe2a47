import type { Clock, Timer } from '../../async/clock.ts';
import { processWide } from '../../async/process-wide.ts';
import type {
  Commit,
  CommitResult,
  Cursor,
  Mutation,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
  StoredRecord,
} from '../../contract/backend.ts';
import { History } from './history.ts';
import { alters, type Change, placeOf } from './interest.ts';
import { Ledger, type LedgerCopy } from './ledger.ts';
import { LockDelays } from './lock-delays.ts';
import { type MemoryStoreOptions, resolveStoreOptions } from './options.ts';
import { toRecord } from './records.ts';
import { type Session, SessionTable } from './sessions.ts';
import { type Wake, Watchers } from './watchers.ts';

/** Those of all copies of this library: a program may load it as a module and by `require`. */
const stores = processWide('stores.1', () => new WeakSet<object>());

export function isMemoryStore(value: unknown): value is MemoryStore {
  return typeof value === 'object' && value !== null && stores.has(value);
}

/** Milliseconds. A delay may be armed again meanwhile, so nobody is told to stay away for all of it. */
const LONGEST_RETRY_AFTER = 1000;

/**
 * The server that memory backends are clients of. Several backends on one store are to each other what several
 * processes are.
 *
 * The first group of methods is what a backend calls; they are synchronous, and trust their input. The second is
 * what an operator could do, for tests.
 */
export class MemoryStore {
  readonly contention: 'queue' | 'race';
  readonly clock: Clock;
  readonly maxValueBytes: number;

  /** How many commits went through consensus: those with mutations, refused ones included. For tests. */
  commits = 0;

  readonly #ledger: Ledger;
  readonly #sessions: SessionTable;
  readonly #delays = new LockDelays();
  readonly #watchers = new Watchers();
  readonly #history = new History();
  /** Told apart in a cursor, so that one from before a wipe is never taken for a current one. */
  #epoch = 0;
  #expiryTimer: { readonly at: number; readonly timer: Timer } | undefined;

  constructor(options: MemoryStoreOptions = {}) {
    const { contention, clock, expiry, maxValueBytes } = resolveStoreOptions(options);
    this.contention = contention;
    this.clock = clock;
    this.maxValueBytes = maxValueBytes;
    this.#sessions = new SessionTable(expiry);
    this.#ledger = new Ledger(this.#sessions, contention === 'race');
    stores.add(this);
  }

  openSession(options: SessionOptions): string {
    this.#expire();
    const { id } = this.#sessions.open(options, this.clock.now());
    this.#armExpiry();
    return id;
  }

  renewSession(id: string): boolean {
    this.#expire();
    return this.#sessions.renew(id, this.clock.now());
  }

  closeSession(id: string): void {
    this.#expire();
    const session = this.#sessions.take(id);
    if (session !== undefined) this.#bury(session);
    this.#armExpiry();
  }

  read(scope: Scope): QueryResult {
    this.#expire();
    return { records: this.#read(scope), at: this.positionAt(this.#ledger.revision) };
  }

  positionAt(revision: Revision): Cursor {
    return `${this.#epoch}.${revision}`;
  }

  /** Whether the view of this scope is, or may be, another one than at that cursor. */
  changedSince(cursor: Cursor, scope: Scope): boolean {
    this.#expire();
    const [, epoch, revision] = /^(\d+)\.(\d+)$/.exec(cursor) ?? [];
    if (revision === undefined || Number(epoch) !== this.#epoch || BigInt(revision) > this.#ledger.revision)
      return true;
    const shown = this.#ledger.select(scope);
    return this.#history.someSince(BigInt(revision), (change) => alters(change, scope, shown));
  }

  /** Calls `wake` at every change of what the scope shows now, until the returned function is called. */
  watch(scope: Scope, wake: Wake): () => void {
    const unwatch = this.#watchers.add(
      placeOf(scope, this.#ledger.select(scope), this.#ledger.revision),
      wake,
    );
    this.#armExpiry();
    return () => {
      unwatch();
      this.#armExpiry();
    };
  }

  commit({ when, then, read, count }: Commit): CommitResult {
    this.#expire();
    if (then.length > 0) this.commits++;
    const retryAfter = this.#delayed(then);
    if (retryAfter > 0) return { ok: false, why: 'delayed', retryAfter };
    const why = this.#ledger.refusal(when, then);
    const changes = why === undefined ? this.#ledger.apply(then) : [];
    const seen = read === undefined ? {} : { read: this.#read(read) };
    const counted = count === undefined ? {} : { count: this.#ledger.select({ prefix: count }).length };
    const result: CommitResult =
      why === undefined
        ? { ok: true, revision: this.#ledger.written(then), ...seen, ...counted }
        : { ok: false, why, ...seen };
    // Last, because who is woken looks at the clock, and may end a session and thereby move the revision.
    this.#publish(changes);
    return result;
  }

  /** For tests: ends a session as an operator would. In a race its keys are then under its lock-delay. */
  destroySession(id: string): void {
    this.closeSession(id);
  }

  /** For tests: what is stored, by key. */
  records(prefix = ''): readonly StoredRecord[] {
    this.#expire();
    return this.#read({ prefix });
  }

  /** For tests: the sessions that live. */
  sessions(): ReadonlyArray<{ readonly id: string; readonly name: string; readonly ttl: number }> {
    this.#expire();
    return [...this.#sessions.values()].map(({ id, name, ttl }) => ({ id, name, ttl }));
  }

  /** For tests: how many keys are remembered for their lock-delay. */
  get delayed(): number {
    this.#expire();
    return this.#delays.size;
  }

  /** For tests: how many queries are blocked. */
  get waiting(): number {
    return this.#watchers.size;
  }

  /** For tests: all data is lost, and revisions restart. */
  wipe(): void {
    this.#ledger.clear();
    this.#sessions.clear();
    this.#startOver();
  }

  /** For tests: the data as it is now, to be restored later. */
  copy(): LedgerCopy {
    this.#expire();
    return this.#ledger.copy();
  }

  /** For tests: data and revisions go back to that copy, while the sessions live on. */
  restore(copy: LedgerCopy): void {
    this.#expire();
    this.#ledger.restore(copy);
    this.#startOver();
  }

  #startOver(): void {
    this.#delays.clear();
    this.#history.clear();
    this.#epoch++;
    this.#watchers.notifyAll();
    this.#armExpiry();
  }

  #read(scope: Scope): StoredRecord[] {
    return this.#ledger.select(scope).map(toRecord);
  }

  /** Milliseconds until the lock-delay of a key to be owned is over, or 0. Consul looks at this before all else. */
  #delayed(then: readonly Mutation[]): number {
    const now = this.clock.now();
    let longest = 0;
    for (const put of then) {
      if (put.put !== undefined && put.session !== undefined)
        longest = Math.max(longest, this.#delays.left(put.put, now));
    }
    return Math.min(longest, LONGEST_RETRY_AFTER);
  }

  /** What a session leaves: its records go with it in one step and, in a race, their keys are held back. */
  #bury({ owned, lockDelay }: Session): void {
    if (this.contention === 'race' && lockDelay > 0) {
      this.#delays.add([...owned], this.clock.now() + lockDelay);
    }
    this.#publish(this.#ledger.apply([...owned].map((remove) => ({ remove }))));
  }

  #publish(changes: readonly Change[]): void {
    for (const change of changes) this.#history.push(change);
    if (changes.length > 0) this.#watchers.notify(changes.map(({ key }) => key));
  }

  /** Every access looks at the clock, because a timer may come late. */
  #expire(): void {
    const now = this.clock.now();
    for (const session of this.#sessions.takeExpired(now)) this.#bury(session);
    this.#delays.prune(now);
  }

  /** Only a blocked query needs a timer to see an expiry: without one, none is left behind. */
  #armExpiry(): void {
    const at = this.#watchers.size === 0 ? Number.POSITIVE_INFINITY : this.#sessions.nextExpiry;
    if (this.#expiryTimer !== undefined && this.#expiryTimer.at <= at && at !== Number.POSITIVE_INFINITY)
      return;
    this.#expiryTimer?.timer.cancel();
    this.#expiryTimer = undefined;
    if (at === Number.POSITIVE_INFINITY) return;
    const timer = this.clock.after(at - this.clock.now(), () => {
      this.#expiryTimer = undefined;
      this.#expire();
      this.#armExpiry();
    });
    this.#expiryTimer = { at, timer };
  }
}
