import { refused } from './errors.ts';
import { quoteKey } from './quote.ts';

/** Bytes of UTF-8. Short enough for every store's request and URL limits. */
export const MAX_KEY_BYTES = 1_024;

/** Empty, `.` or `..`. */
const BAD_SEGMENT = /(?<=^|\/)(\.{0,2})(?=\/|$)/;

/**
 * What is wrong with a key, or `undefined`.
 *
 * One rule for all backends, so that a service can change its backend. It keeps out what some server would not
 * give back as it was: Consul's HTTP router cleans `.`, `..` and empty segments out of a path by a redirect, and
 * refuses NUL and newline.
 */
export function keyProblem(key: unknown): string | undefined {
  if (typeof key !== 'string') return `must be a string, not ${key === null ? 'null' : typeof key}`;
  if (key === '') return 'must not be empty';
  if (!key.isWellFormed()) return 'has a lone surrogate, which no store can hold';
  const control = controlIn(key);
  if (control !== undefined) return `has the control character U+${control.toString(16).padStart(4, '0')}`;
  const bytes = Buffer.byteLength(key);
  if (bytes > MAX_KEY_BYTES) return `has ${bytes} bytes; at most ${MAX_KEY_BYTES} are allowed`;
  const segment = BAD_SEGMENT.exec(key)?.[1];
  if (segment === '') return 'has an empty segment: no leading, trailing or double slash is allowed';
  return segment === undefined ? undefined : `has the segment "${segment}"`;
}

function controlIn(key: string): number | undefined {
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at);
    if (code < 0x20 || code === 0x7f) return code;
  }
  return undefined;
}

export function checkKey(key: unknown): asserts key is string {
  const problem = keyProblem(key);
  if (problem !== undefined) throw refused('invalid-key', `key ${quoteKey(key)} ${problem}`);
}
