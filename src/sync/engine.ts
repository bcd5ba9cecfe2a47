import type { OwnContext } from '../async/own-context.ts';
import type { Window } from '../async/window.ts';
import type { Backend, Clock } from './backend.ts';
import type { Controllers } from './controllers.ts';
import type { Delay } from './delay.ts';
import type { Outbox } from './events.ts';
import type { Keyspace } from './keyspace.ts';
import type { LongHolds } from './long-holds.ts';
import type { Looks } from './looks.ts';
import type { SessionKeeper } from './session-keeper.ts';
import type { Removals } from './stopping.ts';

/** What the locks of one manager share. */
export interface Engine {
  readonly backend: Backend;
  readonly keyspace: Keyspace;
  readonly clock: Clock;
  readonly context: OwnContext;
  readonly keeper: SessionKeeper;
  readonly outbox: Outbox;
  readonly controllers: Controllers;
  /** Attempts and removals under way. A caller more than that waits for its turn, and costs no more than a place in line. */
  readonly turns: Window;
  /** Of `UNWATCHED`. */
  readonly unwatched: Delay;
  /** Of a TTL: for so long somebody waits for a removal that does not succeed. */
  readonly patience: Delay;
  readonly looks: Looks;
  readonly longHolds: LongHolds;
  readonly removals: Removals;
  /** Takes over a promise that never rejects; stopping waits for it. */
  background(task: Promise<unknown>): void;
}

/**
 * How many attempts and removals are under way at a time. Enough for full requests to any server; and few enough for what an
 * attempt needs to be garbage before the next ones come: 50 000 at once took twice as long as in turns.
 */
export const MOST_TURNS = 1_024;

/**
 * A lock held for less than this is never watched, in milliseconds, unless somebody here waits for it: a short critical
 * section costs no watch, and a deleted record is still noticed well within half a second.
 */
export const UNWATCHED = 100;

/** The same, where others of this process wait. Those that only pass it on are through by then, and cost no watch either. */
export const UNWATCHED_CROWDED = 1;
