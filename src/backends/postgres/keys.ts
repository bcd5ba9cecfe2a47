import { refused } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import type { KeyRules } from '../../contract/validate.ts';

/** A row of the index ends at about 2,700 bytes. */
const MOST_BYTES = 2_048;
const LOCK_SEGMENT = '.lock';

function prefixProblem(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain NUL';
  if (!text.isWellFormed()) return 'must not contain a lone surrogate, which UTF-8 cannot express';
  if (text.length > MOST_BYTES / 4 && Buffer.byteLength(text) > MOST_BYTES) {
    return `must have at most ${MOST_BYTES} bytes`;
  }
  return undefined;
}

function keyProblem(key: string): string | undefined {
  return key === '' ? 'must not be empty' : prefixProblem(key);
}

export const keys: KeyRules = { keyProblem, prefixProblem };

export function lockPath(key: string): string {
  if (key.split('/').includes(LOCK_SEGMENT)) {
    const problem = `must not have a segment "${LOCK_SEGMENT}": locks are kept under that name`;
    throw refused('invalid-key', `the key ${quoteKey(key)} ${problem}`);
  }
  return `${key}/${LOCK_SEGMENT}/`;
}
