import type { Clock } from '../../async/clock.ts';
import type { Controllers } from '../../async/controllers.ts';
import type { Notifications } from '../../async/notifications.ts';
import type { OwnContext } from '../../async/own-context.ts';
import type { SharedTimer } from '../../async/shared-timer.ts';
import type { Window } from '../../async/window.ts';
import type { Backend } from '../../contract/backend.ts';
import type { SessionKeeper } from '../session/session-keeper.ts';
import type { LookTimes } from './look-times.ts';
import type { Removals } from './removals.ts';

/** What the contenders of one manager share. */
export interface ContenderHost {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly context: OwnContext;
  readonly keeper: SessionKeeper;
  readonly notifications: Notifications;
  readonly controllers: Controllers;
  /** Attempts and removals under way. A caller more than that waits for its turn, and costs no more than a place in line. */
  readonly turns: Window;
  /** Runs what is to be done about a lock that is held for `UNWATCHED` milliseconds. */
  readonly unwatched: SharedTimer;
  /** Runs what is to be done about a removal that has not succeeded for a TTL. */
  readonly patience: SharedTimer;
  readonly lookTimes: LookTimes;
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
