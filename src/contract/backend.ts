/**
 * The waist: what the engine needs of a coordination service, in five verbs, and three more that are optional.
 *
 * A backend imports the contract, the kit, `async` and its own client; the engine imports no backend.
 * `holdfast/testing` has the suite that every backend must pass.
 */

import type { SyncError } from './errors.ts';

/**
 * The place of a commit among the others, as far as somebody depends on it. It need not be one order of the whole store.
 *
 * - For one key it rises strictly, also across the deletion and the expiry of its record.
 * - Under a prefix that is counted (`Commit.count`) it is the order in which commits become visible: once a record was seen
 *   there, none appears that was created before it.
 * - It is larger than that of any commit that was answered before this one was sent, by whatever client, about whatever key.
 *
 * Records put by one commit share it. So may commits that are under way together, if they have nothing in common.
 */
export type Revision = bigint;

/** An opaque position in a store's history. It comes from a query and goes into the next one of the same scope. */
export type Cursor = string;

/** Members that belong to other variants of a union: nothing can be read in two ways. One that is `undefined` is missing. */
type Without<Names extends string> = { readonly [Name in Names]?: never };

/**
 * What a query looks at. The last two bound what is told of a queue, however long it is. (etcd looks at all of it
 * nevertheless; see docs/decisions/0021-an-entrant-counts.md.)
 */
export type Scope =
  | (Without<'prefix' | 'oldest' | 'youngest' | 'before'> & { readonly key: string })
  | (Without<'key' | 'oldest' | 'youngest' | 'before'> & { readonly prefix: string })
  /**
   * The `oldest` records of the prefix, by creation, oldest first. Those that one commit made are in the order of their keys,
   * by code point: so the order is total, the same for every client, and as many are shown as were asked for.
   */
  | (Without<'key' | 'youngest' | 'before'> & { readonly prefix: string; readonly oldest: number })
  /** The `youngest` records of the prefix among those created before this revision, youngest first: that order, reversed. */
  | (Without<'key' | 'oldest'> & {
      readonly prefix: string;
      readonly youngest: number;
      readonly before: Revision;
    });

export interface StoredRecord {
  readonly key: string;
  readonly value: Uint8Array;
  /** The session that owns the record; it disappears with that session. */
  readonly session: string | undefined;
  /**
   * Revision of the commit that made the record. Where contenders race, the store may count taking an unowned record
   * as making it anew.
   */
  readonly created: Revision;
  /** Revision of the last commit that changed it. */
  readonly revision: Revision;
  /**
   * Why this record cannot be a lock of this library, or nothing when it can be: the kind that the server's
   * own marks give away, such as the flags of a Consul semaphore. The engine never touches such a record.
   */
  readonly foreign?: string;
}

/** A compact proof about one key, evaluated by the server in the same atomic step as the mutations. */
export type Condition =
  | (Without<'revision' | 'session'> & { readonly key: string; readonly is: 'absent' })
  /** Absent, or present without an owner. */
  | (Without<'revision' | 'session'> & { readonly key: string; readonly is: 'unowned' })
  /** Untouched since this revision. */
  | (Without<'is' | 'session'> & { readonly key: string; readonly revision: Revision })
  /** Still owned by this session. */
  | (Without<'is' | 'revision'> & { readonly key: string; readonly session: string });

export type Mutation =
  /** With `session` the record is owned, and is what a lock is made of. Without, it is plain data. */
  | (Without<'remove'> & { readonly put: string; readonly value: Uint8Array; readonly session?: string })
  /** Removing what is not there is no error. */
  | (Without<'put' | 'value' | 'session'> & { readonly remove: string });

interface Step {
  readonly when: readonly Condition[];
  readonly then: readonly Mutation[];
}

/** At most one mutation for one key, and no more in all than `traits.maxOperations`. */
export type Commit =
  | (Step & {
      /** Read in the same atomic step, after the mutations if they were applied. */
      readonly read?: Scope;
      readonly count?: undefined;
    })
  | (Step & {
      /**
       * A prefix. If the mutations are applied, its records are counted after them, in the same atomic step. To count is
       * cheaper than to read: for the server that has to look at them, and for who has to take them in.
       *
       * Commits that count a prefix are serial, with one another and with all that change what is under it: each counts all
       * that came before it and nothing of what comes after, in the order of their revisions. Nothing else that a commit
       * depends on is about more than single keys.
       */
      readonly count: string;
      readonly read?: undefined;
    });

export type CommitResult =
  /**
   * `revision` is that of the records put. Without any it says nothing. A store may take a put of what is there already for no
   * change.
   */
  | {
      readonly ok: true;
      readonly revision: Revision;
      readonly read?: readonly StoredRecord[];
      readonly count?: number;
    }
  | {
      readonly ok: false;
      readonly why: 'conflict' | 'session-gone';
      readonly read?: readonly StoredRecord[];
    }
  /** The server holds the key back for a while (Consul's lock-delay). Try again after `retryAfter` milliseconds. */
  | { readonly ok: false; readonly why: 'delayed'; readonly retryAfter: number };

/** What a commit within a transaction of the user's has come to, which is final once that is committed. */
export interface CommittedWithin {
  readonly result: CommitResult;
  /**
   * Resolves when the transaction is over, whatever became of it. The store is asked only while somebody waits for this. Rejects
   * with the signal's reason, and with `stopped` when the backend was disposed.
   */
  ended(signal: AbortSignal): Promise<void>;
}

export interface QueryOptions {
  /** Block until there may be something newer than this position. Without it the query answers at once. */
  readonly since?: Cursor;
  /** With `since`: do not block longer than this, in milliseconds. A backend may answer earlier. */
  readonly wait?: number;
  readonly signal: AbortSignal;
}

export interface QueryResult {
  readonly records: readonly StoredRecord[];
  readonly at: Cursor;
}

export interface SessionOptions {
  /** Shown to operators. */
  readonly name: string;
  /** Milliseconds. Within `traits.ttl`. */
  readonly ttl: number;
  /** Milliseconds. Ignored where `traits.maxLockDelay` is 0. */
  readonly lockDelay: number;
}

export interface BackendTraits {
  readonly name: string;
  /** `race`: everyone goes for one record. `queue`: the oldest contender under a prefix holds. */
  readonly contention: 'race' | 'queue';
  /** Bounds for a session's TTL, in milliseconds. */
  readonly ttl: { readonly min: number; readonly max: number };
  /** Milliseconds; 0 where the server knows no lock-delay. */
  readonly maxLockDelay: number;
  /** The largest value of one record, in bytes. */
  readonly maxValueBytes: number;
  /** How many conditions, mutations and reads (or counts) a commit may have, together. */
  readonly maxOperations: number;
  /**
   * `durable`: revisions never restart while the store keeps its data.
   * `advisory`: they live in memory only.
   */
  readonly fencing: 'durable' | 'advisory';
  /** Whether a change is told of by the server, or found by looking from time to time. */
  readonly wakes: 'pushed' | 'polled';
  /**
   * Milliseconds within which a `watch` that stands reads its record anew by itself, and wakes with the error if it cannot.
   * Without it a watch tells only what it is told, and the engine looks from time to time.
   */
  readonly rereads?: number;
}

/**
 * The contract, held by the conformance suite:
 *
 * - `query` with `since` is level-triggered. It may wake for nothing, must wake for a change, never waits without
 *   bound, and always answers with the current state, so that nobody depends on seeing every event. A compaction, an
 *   index that went backwards, a reconnect are just wakes. What was made and undone again may be no change.
 * - A read shows what stands. Nothing is hidden because a clock says that its session must be over: a renewal may be on its
 *   way through, and whoever sees a holder gone holds in its place.
 * - Commits come out as if one came after the other, also where each changes what the other has only looked at.
 * - A *rejected* `commit` means *unknown*, not *failed*, unless its error says `refused` (`SyncError.outcome`). A read that
 *   fails leaves nothing unknown.
 * - What can be read in two ways or is too much is refused before any I/O.
 * - A session's TTL is what the server granted, not what was asked for. Nobody need look for it to end, and it ends once.
 * - Every call ends: by its signal (it then rejects with the signal's reason), or by a deadline of the backend's own. No
 *   listener of it is left on the signal then, which may go on to serve another call.
 * - Nothing of the server's client leaks: errors are `SyncError`s, and none holds a secret.
 * - After disposal every call rejects with code `stopped`, and no socket or timer is left.
 */
export interface Backend extends AsyncDisposable {
  readonly traits: BackendTraits;
  /**
   * Where the lock of this key lives: the record's key in a race, the prefix of the contenders in a queue.
   * Throws a `SyncError` `invalid-key` for a key this store cannot hold. Does no I/O.
   */
  lockPath(key: string): string;
  openSession(options: SessionOptions, signal: AbortSignal): Promise<{ id: string; ttl: number }>;
  /** `gone` also for one that is past its time and that nobody has noticed yet: nothing revives it. */
  renewSession(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'>;
  /**
   * Closing a session that is gone is no error. A put of it that is under way is applied before, and goes with it, or is
   * refused: nothing is ever left that is owned by a session that is gone.
   */
  closeSession(id: string, signal: AbortSignal): Promise<void>;
  query(scope: Scope, options: QueryOptions): Promise<QueryResult>;
  commit(commit: Commit, signal: AbortSignal): Promise<CommitResult>;
  /**
   * Optional, where the store is the user's own database: a commit as a part of a transaction that he has begun there, and that
   * decides. Rolled back, nothing was done. What it was conditioned on stays as it is until then, and a revision may become
   * visible later than larger ones. Nothing travels with it, and it ends with the transaction's own connection, or with the
   * backend: there is no signal, for nobody but the user can take back what he has begun.
   *
   * After a conflict the transaction can go on. An error with `refused` says that it cannot: it is to be rolled back and, if it
   * gave way to another one, run again.
   */
  commitWithin?(transaction: unknown, commit: Commit): Promise<CommittedWithin>;
  /**
   * Optional. What `query` with `since` is for one record, for who holds thousands: without a promise, a signal and a
   * timer for each. Calls `wake` once, when there may be something newer than the position, or with the error when that
   * cannot be told; never before it has returned, and without a bound in time. Returns what takes it back. Where it is
   * missing, the engine blocks a query instead.
   */
  watch?(key: string, since: Cursor, wake: (error?: SyncError) => void): () => void;
  /**
   * Optional, with `watch`. The position of who knows that a record has this revision, without a read: what it wrote itself
   * a moment ago. A watch from there wakes if the record is not the same any more.
   */
  positionOf?(key: string, revision: Revision): Cursor;
}
