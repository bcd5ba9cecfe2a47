import type { Clock } from '../../async/clock.ts';
import type { Window } from '../../async/window.ts';
import type {
  BackendTraits,
  Commit,
  CommitResult,
  Cursor,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
} from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';
import type { KeyRules } from '../../contract/validate.ts';

/**
 * What a server must be able to do for `backendOf` to make a backend of it. All that is not about that server is done there: what
 * cannot be asked for is refused before a driver hears of it, every call ends by its signal and by the disposal, what is
 * issued together is sent together, queries block, a failed read is told as one that did nothing.
 *
 * A driver rejects with `SyncError`s only, none of which holds a secret, and says `refused` on one where it is certain that
 * nothing was done.
 */
export interface Driver<R extends Request = Request> {
  readonly traits: BackendTraits;
  readonly keys: KeyRules;
  /** Without it, every request goes by itself, and at once. */
  readonly lanes?: { readonly writes: Lane; readonly reads: Lane };
  /** Milliseconds for which a query blocks at most. Default 60 000. */
  readonly longestWait?: number;
  /** Milliseconds between looks where there is no `follow`. Default 250. */
  readonly pollInterval?: number;
  /** Of the waits. Default: the platform's. */
  readonly clock?: Clock;

  /** Of a key that was checked; see `Backend.lockPath`. */
  lockPath(key: string): string;
  open(options: SessionOptions, signal: AbortSignal): Promise<{ id: string; ttl: number }>;
  renew(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'>;
  close(id: string, signal: AbortSignal): Promise<void>;

  /** A commit made ready to be sent, with its values as they are now. Throws `value-too-large`. */
  prepare(commit: Commit): R;
  /** One request to the server for commits that touch nothing in common. Calls `done` once, unless it is cancelled before. */
  write(requests: readonly R[], done: Done<CommitResult>): Cancel;
  /**
   * One commit by itself, on a connection of the user's, within the transaction that he has begun there: see
   * `Backend.commitWithin`. Rejects with `invalid-option` for what is no such transaction. `isOver` asks once whether it has ended.
   */
  within?(
    transaction: unknown,
    commit: Commit,
  ): Promise<{ readonly result: CommitResult; isOver(): Promise<boolean> }>;
  /** One request for reads. `at` says what was seen of the scope: it is another one when that has changed. */
  read(scopes: readonly Scope[], done: Done<QueryResult>): Cancel;
  /**
   * Calls `news` once, when the scope may show something newer than at `since`; at once, if `since` is no cursor of this driver.
   * Nobody follows any more when the driver is ended. Without it the kit looks from time to time.
   *
   * @param look reads a scope, as one of the reads that are issued together.
   */
  follow?(scope: Scope, since: Cursor, news: (news: News) => void, look: Look): Cancel;
  /** With `follow`; see `Backend.positionOf`. */
  positionOf?(key: string, revision: Revision): Cursor;

  /** Nothing is asked any more, and every call was told. Resolves when no socket and no timer is left. */
  end(): Promise<void>;
}

/** A commit on its way to the server. */
export interface Request {
  readonly commit: Commit;
  /** Of what a request may have, where requests travel together: see `Lane`. */
  readonly cost?: number;
  readonly bytes?: number;
  /** It cannot travel with others. */
  readonly alone?: boolean;
}

/** Requests of one kind: how many are under way at a time, and what each of them may hold. */
export interface Lane {
  readonly window: Window;
  readonly limits: BatchLimits;
}

export interface BatchLimits {
  readonly cost: number;
  readonly bytes: number;
}

/** Nobody waits for it any more. Without effect once it is done. */
export type Cancel = () => void;

/** What a request has come to: a verdict for each of its members, in their order; or why nothing is known of any. */
export type Done<A> = (outcome: readonly Verdict<A>[] | SyncError) => void;

/**
 * What became of one of several that were sent together.
 *
 * - a `SyncError`: its own refusal, which is told to nobody else.
 * - `again`: not done, through no fault of its own. It is sent again, with the others of which the same is true.
 * - `alone`: not done, and one of them is at fault. Each is sent by itself.
 */
export type Verdict<A> = A | SyncError | 'again' | 'alone';

/** Why to look again. */
export type News =
  | { readonly why: 'changed' }
  /** What a look would show. */
  | { readonly why: 'shown'; readonly shown: QueryResult }
  /** The server lets us not follow. The same right may be missing for a read, which tells; if it is not, this does. */
  | { readonly why: 'refused'; readonly error: SyncError }
  | { readonly why: 'failed'; readonly error: SyncError };

export type Look = (scope: Scope, signal: AbortSignal) => Promise<QueryResult>;
