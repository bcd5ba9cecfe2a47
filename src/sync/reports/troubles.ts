import type { Clock } from '../../async/clock.ts';
import { isError } from '../../async/realms.ts';
import { isSyncError } from '../../contract/errors.ts';

/** Milliseconds after which trouble of one kind is told again; and when it had come right meanwhile. */
const REPEAT = 60_000;
const REPEAT_WHEN_NEW = 5_000;

/** More keys than that are not counted apart. */
const MOST_KEYS = 1_000;

interface Told {
  at: number;
  more: number;
  readonly keys: Set<string>;
}

/** Of one kind is what fails alike, whatever its words are: a message may name a key, an address, or a time. */
export function kindOf(error: unknown): string {
  if (isSyncError(error)) return error.code;
  return isError(error) ? error.name : typeof error;
}

/** Which troubles are told: each kind once, and again at a bounded rate, however many locks meet it. */
export class Troubles {
  readonly #clock: Clock;
  readonly #told = new Map<string, Told>();
  #rightAgainAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What to say after it of those that were not told, or `undefined` if this one is not to be told either. */
  due(error: unknown, key: string | undefined): string | undefined {
    const now = this.#clock.now();
    const kind = kindOf(error);
    const told = this.#told.get(kind);
    if (told === undefined) {
      this.#told.set(kind, { at: now, more: 0, keys: new Set() });
      return '';
    }
    const isNew = this.#rightAgainAt > told.at;
    if (now - told.at >= (isNew ? REPEAT_WHEN_NEW : REPEAT)) {
      const { more, keys } = told;
      this.#told.set(kind, { at: now, more: 0, keys: new Set() });
      if (more === 0) return '';
      return ` (${more} more of this kind since${keys.size > 1 ? `, of ${keys.size} locks` : ''})`;
    }
    told.more += 1;
    if (key !== undefined && told.keys.size < MOST_KEYS) told.keys.add(key);
    return undefined;
  }

  /** What comes now is another trouble, though it may be of the same kind. */
  rightAgain(): void {
    this.#rightAgainAt = this.#clock.now();
  }
}
