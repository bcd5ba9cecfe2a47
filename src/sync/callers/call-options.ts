import { expectManyListeners } from '../../async/realms.ts';
import { checkBounds, checkNames, type Names } from '../../contract/options.ts';
import type { Metadata } from './metadata.ts';

export interface CallOptions {
  /** Gives up this call, with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Gives up this call after so many milliseconds, with a `SyncError` `timeout`. Default: waits without bound. */
  readonly timeout?: number;
}

export interface LockOptions {
  /**
   * Overrides the manager's metadata, from the next attempt on. A caller who takes over the place in line of another one
   * of this process also takes over what that one wrote there.
   */
  readonly metadata?: Metadata;
}

export interface AcquireOptions extends CallOptions, LockOptions {
  /**
   * Milliseconds after which the grant ends, as if it were lost (reason `max-hold`), here and at the store: for work that may
   * never settle. What has not ended by then should heed `grant.signal`. Default: no bound.
   */
  readonly maxHold?: number;
}

export interface CommitOptions {
  /** Gives up this call, with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * A transaction of yours, in the database that is the store: what is written is a part of it, and final when it is committed.
   * See the backend for what it takes.
   */
  readonly in?: unknown;
}

export const CALL: Names<CallOptions> = { signal: true, timeout: true };
export const ACQUIRE: Names<AcquireOptions> = { ...CALL, metadata: true, maxHold: true };
export const LOCK: Names<LockOptions> = { metadata: true };
export const COMMIT: Names<CommitOptions> = { signal: true, in: true };

export function checkCallOptions<T extends CallOptions>(
  options: T | undefined,
  names: Names<T>,
): T | CallOptions {
  if (options === undefined) return {};
  checkNames(options, names);
  checkBounds(options);
  if (options.signal !== undefined) expectManyListeners(options.signal);
  return options;
}
