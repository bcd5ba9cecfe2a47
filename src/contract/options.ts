import { isAbortSignal } from '../async/realms.ts';
import { refused, type SyncError } from './errors.ts';

/** All the names that an object of options may have: a table that the compiler keeps complete. */
export type Names<T> = Readonly<Record<keyof T & string, true>>;

/** More changes of a letter than these, and it was another word that was meant. */
const MOST_CHANGES = 2;

/** Makes the error that names an option. */
export type Invalid = (option: string, problem: string) => SyncError;

/** Where the options stand, as `session`; and names that are right in another place, such as `session.ttl`. */
export interface Place {
  readonly where?: string;
  readonly elsewhere?: readonly string[];
}

/** Throws for what is no object, and for a name that is not one of these: an option that is ignored is a mistake that nobody hears of. */
export function refuseUnknown<T>(
  options: unknown,
  names: Names<T>,
  invalid: Invalid,
  place: Place = {},
): void {
  const { where, elsewhere = [] } = place;
  if (typeof options !== 'object' || options === null) throw invalid(where ?? 'options', 'must be an object');
  for (const name in options) {
    if (Object.hasOwn(names, name) || (options as Record<string, unknown>)[name] === undefined) continue;
    throw invalid(
      where === undefined ? name : `${where}.${name}`,
      `is unknown: ${hintFor(name, names, elsewhere)}`,
    );
  }
}

/** The names of a part of options, as they are elsewhere: `session.ttl`. */
export function inside<T>(where: string, names: Names<T>): string[] {
  return Object.keys(names).map((name) => `${where}.${name}`);
}

function hintFor<T>(name: string, names: Names<T>, elsewhere: readonly string[]): string {
  const known = Object.keys(names);
  const meant = nearest(name, [...known, ...elsewhere]);
  return meant === undefined
    ? `known are ${known.map((each) => `"${each}"`).join(', ')}`
    : `did you mean "${meant}"?`;
}

function nearest(name: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(MOST_CHANGES, Math.ceil(name.length / 2)) + 1;
  for (const candidate of names) {
    const last = candidate.slice(candidate.lastIndexOf('.') + 1);
    const cost = distance(name.toLowerCase(), last.toLowerCase());
    if (cost >= least) continue;
    least = cost;
    best = candidate;
  }
  return best;
}

/** How many letters have to be put in, taken out or changed (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      next.push(
        Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + Number(letter !== other)),
      );
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

export function checkNames<T>(options: unknown, names: Names<T>, place?: Place): void {
  refuseUnknown(options, names, invalid, place);
}

/** Throws a `SyncError` `invalid-option` that names the option. */
export function checkDuration(option: string, value: unknown): void {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return;
  throw invalid(option, `is ${String(value)}; it must be a positive, finite number of milliseconds`);
}

/** What may bound a call. Throws a `SyncError` `invalid-option` that names what is none. */
export function checkBounds({
  signal,
  timeout,
}: {
  readonly signal?: unknown;
  readonly timeout?: unknown;
}): void {
  if (signal !== undefined && !isAbortSignal(signal)) throw invalid('signal', 'must be an AbortSignal');
  if (timeout !== undefined && timeout !== 0) checkDuration('timeout', timeout);
}

/** Of what was asked, before anything was done. */
export function invalid(option: string, problem: string): SyncError {
  return refused('invalid-option', `option "${option}" ${problem}`);
}
