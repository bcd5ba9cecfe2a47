import type { StoredRecord } from '../../contract/backend.ts';
import type { Holding } from '../contender/strategy.ts';
import type { Session } from '../session/session.ts';
import type { CallOptions } from './call-options.ts';
import { Grant } from './grant.ts';
import type { SyncCommit, SyncMutation } from './guarded-commit.ts';

export interface ClaimOptions extends CallOptions, SyncCommit {
  /** Of the record, for operators and for who looks at it. Default: empty. */
  readonly value?: Uint8Array | string;
}

export interface ClaimReleaseOptions {
  /** Written in the commit that removes the record: all or nothing. */
  readonly then?: readonly SyncMutation[];
  /** What `signal` aborts with, and `assertHeld` throws from now on. Default: a `SyncError` `released`. */
  readonly reason?: Error;
}

/** One period of holding a record that was raced for: see `SyncManager.claim`. */
export class Claim extends Grant {
  /** What the claim was to read in the commit that made its record; if that had no answer, just after it. */
  readonly read: readonly StoredRecord[];
  readonly #giveBack: (claim: Claim, options?: ClaimReleaseOptions) => Promise<void>;

  /** @internal */
  constructor(
    key: string,
    session: Session,
    holding: Holding,
    read: readonly StoredRecord[],
    giveBack: (claim: Claim, options?: ClaimReleaseOptions) => Promise<void>,
  ) {
    super(key, session, holding, 0, () => giveBack(this));
    this.read = read;
    this.#giveBack = giveBack;
  }

  /**
   * Ends it here at once, and removes the record. Without `then` as with any grant: idempotent, and never rejects.
   *
   * With `then` it rejects unless that was written: with `lost` if the claim was over, with `unavailable` if nobody can tell, and
   * with what the store refuses. The record goes in any case.
   */
  override release(options?: ClaimReleaseOptions): Promise<void> {
    return this.#giveBack(this, options);
  }
}
