import type { Clock, Timer } from '../../async/clock.ts';
import type { Cursor, Scope } from '../../contract/backend.ts';
import { isSyncError, OVER } from '../../contract/errors.ts';
import type { Cancel, Driver, Look, News } from './driver.ts';

/**
 * Follows scopes of a server that pushes nothing, by looking at each from time to time.
 *
 * @param interval milliseconds.
 */
export function polling(clock: Clock, interval: number): NonNullable<Driver['follow']> {
  return (scope, since, news, look) => new Poll(clock, interval, news).begin(scope, since, look);
}

class Poll {
  readonly #clock: Clock;
  readonly #interval: number;
  readonly #news: (news: News) => void;
  readonly #controller = new AbortController();
  #timer: Timer | undefined;

  constructor(clock: Clock, interval: number, news: (news: News) => void) {
    this.#clock = clock;
    this.#interval = interval;
    this.#news = news;
  }

  /** The first look is at once: what happened since that cursor may be long ago. */
  begin(scope: Scope, since: Cursor, look: Look): Cancel {
    const { signal } = this.#controller;
    look(scope, signal).then(
      (shown) => {
        if (signal.aborted) return;
        if (shown.at !== since) this.#tell({ why: 'shown', shown });
        else this.#timer = this.#clock.after(this.#interval, () => this.begin(scope, since, look));
      },
      (error: unknown) => {
        if (!signal.aborted && isSyncError(error)) this.#tell({ why: 'failed', error });
      },
    );
    return () => this.#cancel();
  }

  #tell(news: News): void {
    this.#cancel();
    this.#news(news);
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#controller.abort(OVER);
  }
}
