import type { Clock } from '../../async/clock.ts';

/**
 * Why a session ended.
 *
 * - `deadline`: it could not be renewed in time, so it may no longer be believed in, whatever the server thinks.
 * - `session-gone`: the server said that it does not exist any more.
 * - `doubt`: the machine may have slept, and the manager was told not to wait for the verification (`session.abortOnDoubt`).
 * - `stopped`: the manager was stopped.
 */
export type SessionEnd = 'deadline' | 'session-gone' | 'doubt' | 'stopped';

/** An instant on both clocks, taken before a request is sent. */
export interface Instant {
  readonly now: number;
  /** How far the wall clock is ahead of the monotonic one. */
  readonly lead: number;
}

export function instant(clock: Clock): Instant {
  const now = clock.now();
  return { now, lead: clock.wall() - now };
}

/**
 * One session at the backend, and how long this process may believe in it. The object is the epoch: whatever was
 * learned under one session says nothing about the next, and an ended one never comes back.
 */
export class Session {
  readonly id: string;
  /** Milliseconds, as granted by the server. */
  readonly ttl: number;
  readonly #clock: Clock;
  readonly #margin: number;
  readonly #onDoubt: () => void;
  #deadline: number;
  #wallLead: number;
  #suspect = false;
  #ended: SessionEnd | undefined;

  /**
   * @param sent the instant before the request that opened it was sent. The server counts the TTL from
   * a later instant, so a deadline counted from this one errs on the safe side.
   */
  constructor(
    granted: { id: string; ttl: number },
    sent: Instant,
    margin: number,
    clock: Clock,
    onDoubt: () => void,
  ) {
    this.id = granted.id;
    this.ttl = granted.ttl;
    this.#clock = clock;
    this.#margin = margin;
    this.#onDoubt = onDoubt;
    this.#deadline = sent.now + granted.ttl - margin;
    this.#wallLead = sent.lead;
  }

  /** Monotonic instant after which nobody in this process may believe in the session. */
  get deadline(): number {
    return this.#deadline;
  }

  /** Milliseconds for which it is believed in after each renewal. */
  get patience(): number {
    return this.ttl - this.#margin;
  }

  /** The machine may have slept: to be renewed once before it is believed in again. */
  get suspect(): boolean {
    return this.#suspect;
  }

  /**
   * Whether it may be believed in now. Asks the clocks at every look and trusts no timer: after an event-loop
   * stall or a stopped process, this look may come before any timer has run.
   */
  get trusted(): boolean {
    if (this.#ended !== undefined) return false;
    const now = this.#clock.now();
    if (now >= this.#deadline) return false;
    this.#noticeSleep(this.#clock.wall() - now);
    return !this.#suspect;
  }

  /** Not to be believed in now, though it may be again: the machine may have slept, and the deadline is not reached. */
  get doubtful(): boolean {
    return !this.trusted && this.#ended === undefined && this.#clock.now() < this.#deadline;
  }

  /**
   * A renewal succeeded. A late one resurrects nothing: the caller has checked the deadline. One during which the
   * machine may have slept proves nothing either, and gives `false`.
   */
  renewed(sent: Instant): boolean {
    const { lead } = instant(this.#clock);
    this.#suspect = lead - sent.lead > this.#margin;
    this.#wallLead = lead;
    if (this.#suspect) return false;
    this.#deadline = Math.max(this.#deadline, sent.now + this.ttl - this.#margin);
    return true;
  }

  end(why: SessionEnd): void {
    this.#ended ??= why;
  }

  /**
   * The monotonic clock stands still while a machine is suspended; the wall clock does not. When the latter ran
   * ahead by more than the margin, either the machine slept or somebody set the clock: one renewal tells which.
   */
  #noticeSleep(lead: number): void {
    if (lead - this.#wallLead > this.#margin) {
      this.#wallLead = lead;
      this.#suspect = true;
      this.#onDoubt();
    } else if (lead < this.#wallLead) {
      // Set back: from here on, less of an advance is suspicious.
      this.#wallLead = lead;
    }
  }
}
