import { debuglog } from 'node:util';
import type { Clock } from '../../async/clock.ts';
import { queueMicrotask } from '../../async/platform.ts';
import { messageOf } from '../../async/realms.ts';
import { quoteKey } from '../../contract/quote.ts';
import type { LossReason } from '../contender/lock-machine.ts';
import type { Logger } from './logger.ts';
import { kindOf } from './troubles.ts';

/** Trouble that goes on for so long is told to who has no log, in milliseconds. */
const LASTING = 5_000;
/** And is over when nothing was heard of it for so long: a request that gets no answer takes its time to fail. */
const OVER_AFTER = 30_000;
const REPEAT = 600_000;

/** So many locks that are lost together are told one by one. */
const MOST_AT_ONCE = 10;

interface Streak {
  readonly since: number;
  latest: number;
}

/**
 * What is told where nobody gave a log or listens, as process warnings: a lock that is lost, and trouble that lasts. Who waits
 * without a bound would never hear of it.
 */
export class Warnings {
  readonly #service: string;
  readonly #clock: Clock;
  readonly #streaks = new Map<string, Streak>();
  readonly #lost: string[] = [];
  readonly #warnedAt = new Map<string, number>();

  constructor(service: string, clock: Clock) {
    this.#service = service;
    this.#clock = clock;
  }

  trouble(error: unknown, key: string | undefined): void {
    const now = this.#clock.now();
    const kind = kindOf(error);
    const streak = this.#streaks.get(kind);
    if (streak === undefined || now - streak.latest > OVER_AFTER) {
      this.#streaks.set(kind, { since: now, latest: now });
      return;
    }
    streak.latest = now;
    const lasts = now - streak.since;
    if (lasts < LASTING || now - (this.#warnedAt.get(kind) ?? Number.NEGATIVE_INFINITY) < REPEAT) return;
    this.#warnedAt.set(kind, now);
    const what = key === undefined ? 'the store cannot be used' : `the lock ${quoteKey(key)} cannot be had`;
    this.#warn(
      `for ${Math.round(lasts / 1_000)} s ${what}, and it is being tried again: ${messageOf(error)}`,
    );
  }

  /** The session is live: what fails from now on is another trouble. */
  rightAgain(): void {
    this.#streaks.clear();
  }

  lost(key: string, reason: LossReason): void {
    this.#lost.push(`lost the lock ${quoteKey(key)}: ${reason}`);
    // With a session all its locks are lost in one turn.
    if (this.#lost.length === 1) queueMicrotask(() => this.#tellLost());
  }

  heldLong(key: string, ms: number): void {
    const seconds = Math.round(ms / 1_000);
    this.#warn(
      `holds the lock ${quoteKey(key)} for ${seconds} s now; if its work may never end, see option maxHold`,
    );
  }

  #tellLost(): void {
    const lost = this.#lost.splice(0);
    for (const message of lost.slice(0, MOST_AT_ONCE)) this.#warn(message);
    if (lost.length > MOST_AT_ONCE) this.#warn(`and ${lost.length - MOST_AT_ONCE} more locks with them`);
  }

  #warn(message: string): void {
    process.emitWarning(`${this.#service}: ${message}`, 'SyncWarning');
  }
}

/** A log of everything, where the environment asks for it by `NODE_DEBUG=holdfast`. */
export function debugLog(): Logger | undefined {
  const log = debuglog('holdfast');
  if (!log.enabled) return undefined;
  const at = (level: string) => (message: string) => log('%s %s', level, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
