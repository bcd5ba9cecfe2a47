import { refused } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import type { KeyRules } from '../../contract/validate.ts';

/** The segment under which the contenders for a key queue. No key may contain it, so that no two queues meet. */
const LOCK_SEGMENT = '.lock';

function prefixProblem(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain NUL';
  if (!text.isWellFormed()) return 'must not contain a lone surrogate, which UTF-8 cannot express';
  return undefined;
}

/** Of a store that takes any text as a key, as far as UTF-8 can express it. */
export const textKeys: KeyRules = {
  keyProblem: (key) => (key === '' ? 'must not be empty' : prefixProblem(key)),
  prefixProblem,
};

/** Where the contenders for this key queue. Throws `invalid-key`. */
export function queuePath(key: string): string {
  if (key.split('/').includes(LOCK_SEGMENT)) {
    const problem = `must not have a segment "${LOCK_SEGMENT}": locks are kept under that name`;
    throw refused('invalid-key', `the key ${quoteKey(key)} ${problem}`);
  }
  return `${key}/${LOCK_SEGMENT}/`;
}
