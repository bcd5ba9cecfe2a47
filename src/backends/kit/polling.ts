import type { Clock, Timer } from '../../async/clock.ts';
import type { Cursor, Scope } from '../../contract/backend.ts';
import { isSyncError, OVER, type SyncError } from '../../contract/errors.ts';
import type { Cancel, Look, News } from './driver.ts';

/** Follows scopes of a server that pushes nothing, by looking at each from time to time. */
export class Polling {
  readonly #clock: Clock;
  readonly #interval: number;
  readonly #open = new Set<Poll>();

  /** @param interval milliseconds. */
  constructor(clock: Clock, interval: number) {
    this.#clock = clock;
    this.#interval = interval;
  }

  /** As `Driver.follow`. */
  follow(scope: Scope, since: Cursor, news: (news: News) => void, look: Look): Cancel {
    const poll = new Poll(scope, since, look, (told) => {
      this.#open.delete(poll);
      news(told);
    });
    this.#open.add(poll);
    poll.begin(this.#clock, this.#interval);
    return () => {
      this.#open.delete(poll);
      poll.cancel();
    };
  }

  /** Whoever still follows is told. */
  end(error: SyncError): void {
    for (const poll of [...this.#open]) poll.tell({ why: 'failed', error });
  }
}

class Poll {
  readonly #scope: Scope;
  readonly #since: Cursor;
  readonly #look: Look;
  readonly #news: (news: News) => void;
  readonly #controller = new AbortController();
  #timer: Timer | undefined;

  constructor(scope: Scope, since: Cursor, look: Look, news: (news: News) => void) {
    this.#scope = scope;
    this.#since = since;
    this.#look = look;
    this.#news = news;
  }

  /** The first look is at once: what happened since that cursor may be long ago. */
  begin(clock: Clock, interval: number): void {
    const { signal } = this.#controller;
    this.#look(this.#scope, signal).then(
      (shown) => {
        if (signal.aborted) return;
        if (shown.at !== this.#since) this.tell({ why: 'shown', shown });
        else this.#timer = clock.after(interval, () => this.begin(clock, interval));
      },
      (error: unknown) => {
        if (!signal.aborted && isSyncError(error)) this.tell({ why: 'failed', error });
      },
    );
  }

  tell(news: News): void {
    this.cancel();
    this.#news(news);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#controller.abort(OVER);
  }
}
