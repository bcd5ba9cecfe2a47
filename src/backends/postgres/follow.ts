import { clearTimeout, monotonic, setTimeout } from '../../async/platform.ts';
import type { Cursor, Scope } from '../../contract/backend.ts';
import type { Cancel, News } from '../kit/driver.ts';
import { decodeCursor, encodeCursor, type Position } from './cursor.ts';
import type { Interests } from './interests.ts';
import type { Notice } from './notice.ts';
import type { Interest, Notices } from './notices.ts';
import { placeOf, queueOf } from './scope.ts';
import type { Server } from './server.ts';

/** Milliseconds between looks as long as it is not certain that everything is told. */
const LOOK_EVERY = 250;
/** The longest timer of Node. */
const LONGEST = 2 ** 31 - 1;

/** As `Driver.follow`. @param isOurs whether what stands under a key is of a session of this client. */
export function follow(
  { notices, interests }: Server,
  scope: Scope,
  since: Cursor,
  news: (news: News) => void,
  isOurs: (key: string) => boolean,
): Cancel {
  const position = decodeCursor(since);
  if (position === undefined || notices === undefined || interests === undefined) {
    news(CHANGED);
    return () => {};
  }
  notices.begin();
  const trouble = notices.takeTrouble();
  if (trouble !== undefined) {
    news({ why: 'failed', error: trouble });
    return () => {};
  }
  const following = new Following(notices, news);
  following.begin(scope, position, isKnownThere(scope, position.seen, isOurs) ? undefined : interests);
  return () => following.end();
}

class Following {
  readonly #notices: Notices;
  readonly #news: (news: News) => void;
  #interest: Interest | undefined;
  #forget: Cancel | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Of a scope of which it is known what is in it. */
  #position: Position | undefined;
  #over = false;

  constructor(notices: Notices, news: (news: News) => void) {
    this.#notices = notices;
    this.#news = news;
  }

  begin(scope: Scope, position: Position, interests: Interests | undefined): void {
    const { epoch, notices: heard, seen, shown, ends } = position;
    const notices = this.#notices;
    const present = notices.position.epoch;
    const interest = interestIn(scope, seen);
    // Who was not connected, and is, has to look once. Who is not yet, has to look from time to time.
    if (present !== undefined && (present !== epoch || notices.since(heard, interest))) {
      this.#changed();
      return;
    }
    if (shown !== undefined) this.#position = position;
    this.#interest = interest;
    notices.follow(interest, this.#told);
    let isSure = present !== undefined;
    if (interests !== undefined) {
      const { since, cancel } = interests.add(placeOf(scope), () => this.#changed());
      this.#forget = cancel;
      if (since === undefined) isSure = false;
      else if (heard < since) {
        this.#changed();
        return;
      }
    }
    const left = Math.max(1, (ends ?? Number.POSITIVE_INFINITY) - monotonic());
    const wait = Math.min(left, isSure ? Number.POSITIVE_INFINITY : LOOK_EVERY);
    // A holder who is told of everything needs none, and there may be thousands.
    if (wait < Number.POSITIVE_INFINITY)
      this.#timer = setTimeout(() => this.#changed(), Math.min(wait, LONGEST));
  }

  end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    if (this.#interest !== undefined) this.#notices.unfollow(this.#interest, this.#told);
    this.#forget?.();
  }

  /** Where nothing else was, and some of it went, the rest is all there is: nobody has to look. */
  readonly #told = ({ gone }: Notice): void => {
    if (this.#over) return;
    const { shown = [], ends } = this.#position ?? {};
    const left = shown.filter(({ key, revision }) => gone?.get(key) !== revision);
    if (left.length === shown.length) {
      this.#changed();
      return;
    }
    this.end();
    const seen = left.map(({ key }) => key);
    const at = encodeCursor({
      ...this.#notices.position,
      ...(ends !== undefined && { ends }),
      seen,
      shown: left,
    });
    this.#news({ why: 'shown', shown: { records: left, at } });
  };

  #changed(): void {
    if (this.#over) return;
    this.end();
    this.#news(CHANGED);
  }
}

function interestIn(scope: Scope, seen: readonly string[] | undefined): Interest {
  if (scope.key !== undefined) return { keys: [scope.key] };
  return seen === undefined ? scope : { keys: seen };
}

const CHANGED: News = { why: 'changed' };

/** Something of ours stands there, and that is enough to be told. */
function isKnownThere(
  scope: Scope,
  seen: readonly string[] | undefined,
  isOurs: (key: string) => boolean,
): boolean {
  if (scope.key !== undefined) return queueOf(scope.key) !== undefined && isOurs(scope.key);
  return queueOf(scope.prefix) === scope.prefix && seen?.some(isOurs) === true;
}
