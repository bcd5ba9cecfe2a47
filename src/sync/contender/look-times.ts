import type { Clock } from '../../async/clock.ts';
import { SharedTimer } from '../../async/shared-timer.ts';

/** A look may come earlier by this part of its interval, so that many of them fall into the same turn. */
const SLACK_SHARE = 0.25;

/**
 * When the records of held locks are looked at: those whose time has nearly come go together with those whose time has come,
 * in one turn of the event loop. Whatever a backend is asked in one turn may travel in one request.
 */
export class LookTimes {
  readonly #clock: Clock;
  #interval: number | undefined;
  #timer: SharedTimer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param interval milliseconds, the same for all locks of one session. Returns what takes it back. */
  after(interval: number, look: () => void): () => void {
    if (this.#timer === undefined || interval !== this.#interval) {
      // Those of a session that has ended were taken back with it.
      this.#timer?.stop();
      this.#interval = interval;
      this.#timer = new SharedTimer(this.#clock, interval, interval * SLACK_SHARE);
    }
    const waiting = this.#timer.after(look);
    return () => waiting.cancel();
  }

  /** Nothing is looked at any more. */
  stop(): void {
    this.#timer?.stop();
  }
}
