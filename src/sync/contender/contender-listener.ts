import type { SyncError } from '../../contract/errors.ts';
import type { Session } from '../session/session.ts';
import type { LockState, LossReason } from './lock-machine.ts';
import type { Holding } from './strategy.ts';

/** Who is told what becomes of a contender. Called after the new state is committed. */
export interface ContenderListener {
  /** The record's value, asked for at each attempt. May throw a `SyncError`. */
  value(): Uint8Array;
  /** Whether somebody waits behind whoever has just been granted it. */
  readonly crowded: boolean;
  moved(state: LockState): void;
  granted(session: Session, holding: Holding): void;
  /** The record of this holding is known to be gone. */
  removed(holding: Holding): void;
  /** The session of the held lock is in doubt, and being verified. */
  doubted(): void;
  /** It has been verified. */
  reconfirmed(): void;
  lost(reason: LossReason): void;
  occupied(): void;
  refused(error: SyncError): void;
  /** Something failed and is being tried again. */
  failed(error: unknown, source: 'session' | 'lock'): void;
  released(): void;
}
