import { REFUSED, SyncError } from '../contract/errors.ts';
import type { Invalid } from '../contract/options.ts';

/** Of one part of the kit: `VirtualClock option "seed" must be ...`. */
export function invalidOf(part: string): Invalid {
  return (option, problem) =>
    new SyncError('invalid-option', `${part} option "${option}" ${problem}`, REFUSED);
}

export interface Range {
  readonly above?: number;
  readonly least?: number;
  readonly most?: number;
  readonly whole?: boolean;
}

/** Throws unless it is a finite number within these bounds. */
export function checkNumber(invalid: Invalid, option: string, value: unknown, range: Range = {}): void {
  const { above = -Infinity, least = -Infinity, most = Infinity, whole = false } = range;
  const right = whole ? Number.isSafeInteger(value) : Number.isFinite(value);
  const number = value as number;
  if (right && number > above && number >= least && number <= most) return;
  const kind = whole ? 'a whole number' : 'a finite number';
  throw invalid(option, `must be ${kind}${boundsOf(range)}, not ${shown(value)}`);
}

export function checkFunction(invalid: Invalid, option: string, value: unknown): void {
  if (typeof value !== 'function') throw invalid(option, `must be a function, not ${shown(value)}`);
}

export function checkChoice(
  invalid: Invalid,
  option: string,
  value: unknown,
  choices: readonly unknown[],
): void {
  if (choices.includes(value)) return;
  throw invalid(option, `must be one of ${choices.map(shown).join(', ')}, not ${shown(value)}`);
}

export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function boundsOf({ above, least, most }: Range): string {
  if (above !== undefined) return ` above ${above}`;
  if (least === undefined) return '';
  return most === undefined ? ` of at least ${least}` : ` from ${least} to ${most}`;
}
