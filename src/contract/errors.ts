/**
 * What went wrong, for programs. Whether anything was done is another question: `SyncError.outcome` answers it.
 *
 * - `invalid-option`, `invalid-key`, `value-too-large`: bad input, refused before any I/O.
 * - `stopped`: the manager was stopped.
 * - `timeout`: the caller's own `timeout` ran out.
 * - `unavailable`: the server was not reached, or did not answer in time.
 * - `permission-denied`: credentials are missing, wrong, or not sufficient.
 * - `insecure`: TLS could not be established as configured, or broke. There is never a downgrade.
 * - `rejected`: the server refused the request for another reason.
 * - `bad-response`: what came back was not an answer of this server.
 * - `foreign-record`: the key holds something that is not a lock of this kind. It was left untouched.
 * - `deadlock`: the lock is held by the very work that asks for it.
 * - `suspended`: the grant is in doubt: the machine may have slept, and its session is being verified.
 * - `lost`: the grant is no longer held.
 * - `released`: the claim was given up by `release()`.
 * - `store-reset`: the store went back in time (emptied or restored): a new token would not be larger than an old one.
 * - `not-obtained`: none was free, or somebody else has it.
 * - `limit-reached`: more than may be held or stored at a time.
 * - `not-leader`: what only the leader does was asked of a process that does not lead.
 * - `no-current-manager`: `leadershipLock()` or `lockWithKey()` before a manager was made current.
 * - `no-current-grant`: `currentGrant()` outside of a method that runs under one.
 */
export type SyncErrorCode =
  | 'invalid-option'
  | 'invalid-key'
  | 'value-too-large'
  | 'stopped'
  | 'timeout'
  | 'unavailable'
  | 'permission-denied'
  | 'insecure'
  | 'rejected'
  | 'bad-response'
  | 'foreign-record'
  | 'deadlock'
  | 'suspended'
  | 'lost'
  | 'released'
  | 'store-reset'
  | 'not-obtained'
  | 'limit-reached'
  | 'not-leader'
  | 'no-current-manager'
  | 'no-current-grant';

/**
 * Of a request to the store that failed. `refused`: it is certain that nothing of it was done, and that nothing will be: it
 * never left, or the server itself has said no. `unknown`: it may have been done, or may yet be.
 */
export type RequestOutcome = 'refused' | 'unknown';

/** For an error that is made before anything is asked of the store, or of its own word that it did nothing. */
export const REFUSED = { outcome: 'refused' } as const;

/** What an error of this library has, whichever copy of the library made it. */
const BRAND: unique symbol = Symbol.for('holdfast.SyncError') as never;

/**
 * The only error class of this library, and the same for all copies of it in a process. An aborted call is the exception: it
 * rejects with its signal's reason.
 *
 * The message is one readable sentence, with a hint where there is one. Neither it nor `cause` ever carries a
 * credential: a backend builds the cause from the message of the client's error, never from the error itself,
 * which may hold request headers.
 */
export class SyncError extends Error {
  override readonly name = 'SyncError';
  readonly code: SyncErrorCode;
  /**
   * Whether it is known that nothing was done. Said where that is known, and never concluded from the code: a connection may
   * break as `insecure` after the request was sent, and a proxy may answer `permission-denied` to what it has passed on.
   * With `unknown`, look at the store before you conclude anything.
   */
  readonly outcome: RequestOutcome;

  /** `outcome`: without it nothing is known. */
  constructor(code: SyncErrorCode, message: string, options?: { cause?: unknown; outcome?: RequestOutcome }) {
    super(message, options);
    this.code = code;
    this.outcome = options?.outcome ?? 'unknown';
  }

  /** @internal */
  get [BRAND](): true {
    return true;
  }
}

// So that `instanceof` knows those of another copy. Classes that extend this one are known as usual.
Object.defineProperty(SyncError, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    if (this !== SyncError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && BRAND in value;
  },
});

/** An error for what was not even asked of the store: it is known that nothing was done. */
export function refused(code: SyncErrorCode, message: string): SyncError {
  return new SyncError(code, message, REFUSED);
}

export function isSyncError(error: unknown, code?: SyncErrorCode): error is SyncError {
  return error instanceof SyncError && (code === undefined || error.code === code);
}

/** Cuts off work that nobody waits for any more. One for all: an error costs a stack trace, and this one tells nobody. */
export const OVER = new SyncError('stopped', 'nobody waits for it any more');
