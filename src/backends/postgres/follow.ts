import { clearTimeout, monotonic, setTimeout } from '../../async/platform.ts';
import type { Cursor, Revision, Scope } from '../../contract/backend.ts';
import type { Cancel, News } from '../kit/driver.ts';
import { decodeCursor } from './cursor.ts';
import type { Marks } from './marks.ts';
import type { Interest } from './notices.ts';
import { placeOf, queueOf } from './scope.ts';
import type { Server } from './server.ts';

/** Milliseconds between looks as long as it is not certain that everything is told. */
const LOOK_EVERY = 250;
/** The longest timer of Node. */
const LONGEST = 2 ** 31 - 1;

/** What this client has in the store itself. */
export interface Own {
  /** Whether what stands under a key is of one of its sessions. */
  has(key: string): boolean;
  readonly marks: Marks;
}

/** As `Driver.follow`. */
export function follow(
  { notices, interests }: Server,
  scope: Scope,
  since: Cursor,
  news: (news: News) => void,
  own: Own,
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
  const entered = scope.before === undefined ? undefined : own.marks.entered(scope.prefix, scope.before);
  if (entered !== undefined) {
    // Who stands in the queue is told, for as long as he does.
    const left = (): void => {
      own.marks.delete(scope.before as Revision);
      changed();
    };
    if (epoch !== undefined && notices.since(position.notices, { keys: [entered] })) {
      left();
      return cancel;
    }
    undo.push(notices.follow({ keys: [entered] }, left));
  } else if (!isKnownThere(scope, position.seen, own)) {
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
function isKnownThere(scope: Scope, seen: readonly string[] | undefined, own: Own): boolean {
  if (scope.key !== undefined) return queueOf(scope.key) !== undefined && own.has(scope.key);
  return queueOf(scope.prefix) === scope.prefix && seen?.some((key) => own.has(key)) === true;
}
