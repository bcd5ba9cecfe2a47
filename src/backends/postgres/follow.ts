import { clearTimeout, monotonic, setTimeout } from '../../async/platform.ts';
import type { Cursor, Scope } from '../../contract/backend.ts';
import type { Cancel, News } from '../kit/driver.ts';
import { decodeCursor } from './cursor.ts';
import type { Interest } from './notices.ts';
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
  const { epoch } = notices.position;
  const undo: Cancel[] = [];
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const cancel = (): void => {
    over = true;
    clearTimeout(timer);
    for (const each of undo) each();
  };
  const changed = (): void => {
    if (over) return;
    cancel();
    news(CHANGED);
  };
  const interest: Interest =
    scope.key !== undefined
      ? { keys: [scope.key] }
      : position.seen !== undefined
        ? { keys: position.seen }
        : scope;
  // Who was not connected, and is, has to look once. Who is not yet, has to look from time to time.
  if (epoch !== undefined && (epoch !== position.epoch || notices.since(position.notices, interest))) {
    changed();
    return cancel;
  }
  undo.push(notices.follow(interest, changed));
  let isSure = epoch !== undefined;
  if (!isKnownThere(scope, position.seen, isOurs)) {
    const { since: from, cancel: forget } = interests.add(placeOf(scope), changed);
    undo.push(forget);
    if (from === undefined) isSure = false;
    else if (position.notices < from) {
      changed();
      return cancel;
    }
  }
  const ends = position.ends === undefined ? LONGEST : Math.max(1, position.ends - monotonic());
  timer = setTimeout(changed, Math.min(ends, isSure ? LONGEST : LOOK_EVERY));
  return cancel;
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
