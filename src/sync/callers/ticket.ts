import type { Waiter } from '../../async/line.ts';
import type { Notice } from '../contender/lock-machine.ts';
import type { Grant } from './grant.ts';

export type Told<Name extends Notice['tell']> = Extract<Notice, { readonly tell: Name }>;

/** A holding becomes a grant here. Told once more when its session was in doubt and has been verified. */
interface Granted {
  readonly tell: 'granted';
  readonly grant: Grant;
}

/**
 * What the caller at the head of the line is told; that it is occupied and what is refused, those behind it as well. `failed`: nobody
 * knows when it will be over.
 */
export type TicketNotice = Granted | Told<'moved' | 'doubted' | 'lost' | 'occupied' | 'refused' | 'failed'>;

/** What becomes of a grant. `heard`: whether somebody listens to the losses of this lock. */
export type GrantNotice =
  | Granted
  | (Told<'lost'> & { readonly grant: Grant; readonly heard: boolean })
  | (Told<'released'> & { readonly grant: Grant });

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
  notice(notice: TicketNotice): void;
  /** How a grant of this ticket is given back, if there is more to it than to leave the queue. */
  release?(): Promise<void>;
}

export interface QueueEvents {
  notice(notice: GrantNotice): void;
  trouble(error: unknown, key: string): void;
}
