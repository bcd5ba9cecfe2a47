import type { Backend, Revision } from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';

/** Our record at the store while we hold: what a guarded commit proves, and what a release removes. */
export interface Holding {
  readonly record: string;
  readonly session: string;
  /** The record's revision. If it changed, somebody else wrote there. */
  readonly revision: Revision;
  /** Orders this holder after every earlier and before every later one. */
  readonly token: Revision;
}

/**
 * Where we stand while somebody else holds, as the strategy that made it knows it: nobody else looks into it. Learned under one
 * session, useless under the next.
 */
export type Place = object;

export type Attempt<P extends Place = Place> =
  | { readonly outcome: 'acquired'; readonly holding: Holding }
  | { readonly outcome: 'occupied'; readonly place: P }
  /** The server holds the key back; `retryAfter` is in milliseconds. */
  | { readonly outcome: 'delayed'; readonly retryAfter: number }
  | { readonly outcome: 'session-gone' }
  /** The key holds something that is no lock of ours. */
  | { readonly outcome: 'foreign'; readonly error: SyncError; readonly place: P };

/**
 * `permission-denied`: we may not look at our record any more, so nothing is known of it. `record-unreadable`: nothing could be
 * learned of it, for another reason, though the session goes on being renewed.
 */
export type RecordLoss = 'record-gone' | 'record-overwritten' | 'permission-denied' | 'record-unreadable';

/** One lock of one session, as a strategy sees it. */
export interface LockContext {
  readonly backend: Backend;
  readonly key: string;
  /** What `backend.lockPath(key)` gave. */
  readonly path: string;
  readonly session: string;
  /** Upper bound for one blocking query, in milliseconds: even if no event ever arrives, we look again. */
  readonly wait: number;
  /** The record's value. */
  value(): Uint8Array;
  /** Whether this was a session of this manager that has ended. */
  wasOurs(session: string): boolean;
}

/**
 * How a lock is won. Everything here may reject; a rejected attempt may or may not have taken effect, and the next
 * one first looks at what stands there in our name. So no outcome is ever guessed.
 */
export interface Contention<P extends Place = Place> {
  /** One attempt to hold, or to find out why not. */
  attempt(lock: LockContext, place: P | undefined, signal: AbortSignal): Promise<Attempt<P>>;
  /** Blocks until an attempt may succeed. */
  wait(lock: LockContext, place: P, signal: AbortSignal): Promise<P>;
  /** The record that stands in our name while we hold or wait. */
  record(path: string, session: string): string;
  /** Removes what stands in our name, and nothing else. Resolves when it is known to be gone. */
  remove(lock: LockContext, holding: Holding | undefined, signal: AbortSignal): Promise<void>;
}

/** A store that changes faster than we can look: give the machine a turn instead of spinning. */
export const MAX_ROUNDS = 8;
