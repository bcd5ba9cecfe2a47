import type { Waiter } from '../../async/line.ts';
import type { SyncError } from '../../contract/errors.ts';
import type { LockState, LossReason } from '../contender/lock-machine.ts';
import type { Grant } from './grant.ts';

/** One local caller in line for a key: a standing claim, or one scoped acquire. */
export interface Ticket extends Waiter<Ticket> {
  /** A standing claim stays in line after a loss, and gets the lock back. */
  readonly standing: boolean;
  /** Of the queue: once it has left, and until nothing of it is left, which is when it resolves. */
  left?: Promise<void> | undefined;
  /** Milliseconds after which what it holds is taken back. */
  readonly maxHold?: number | undefined;
  /** Whether somebody listens to its losses. */
  readonly heard?: boolean;
  value(): Uint8Array;
  granted(grant: Grant): void;
  /** In doubt; `granted` follows when it was verified. */
  doubted(grant: Grant): void;
  lost(reason: LossReason, grant: Grant): void;
  /** Not to be had at the moment. */
  occupied(): void;
  refused(error: SyncError): void;
  /** The last try failed with this, or there is no session to try with: nobody knows when that will be over. */
  failing(error: unknown): void;
  moved(state: LockState): void;
  /** How a grant of this ticket is given back, if there is more to it than to leave the queue. */
  release?(): Promise<void>;
}

/** How far callers of one process may pass a lock on among themselves before others get their turn. */
export interface HandOffLimits {
  /** Hand-offs in a row. */
  readonly limit: number;
  /** Milliseconds since the lock was acquired from the store. */
  readonly within: number;
}

export interface QueueEvents {
  granted(grant: Grant): void;
  /** @param heard whether somebody listens to the losses of this lock. */
  lost(grant: Grant, reason: LossReason, heard: boolean): void;
  released(grant: Grant): void;
  trouble(error: unknown, key: string): void;
}
