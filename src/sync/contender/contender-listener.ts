import type { Notice } from './lock-machine.ts';

/** Whoever wants the lock of a contender. */
export interface ContenderListener {
  /** The record's value, asked for at each attempt. May throw a `SyncError`. */
  value(): Uint8Array;
  /** Whether somebody waits behind whoever has just been granted it. */
  readonly crowded: boolean;
  notice(notice: Notice): void;
}
