import { refused } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { checkKey, type KeyRules } from '../../contract/validate.ts';

const LOCK_SEGMENT = '.lock';

/** etcd takes any bytes as a key; these are what a string can express, and NUL is its sign for "no end". */
function prefixProblem(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain NUL';
  if (!text.isWellFormed()) return 'must not contain a lone surrogate, which UTF-8 cannot express';
  return undefined;
}

function keyProblem(key: string): string | undefined {
  return key === '' ? 'must not be empty' : prefixProblem(key);
}

export const keys: KeyRules = { keyProblem, prefixProblem };

/** @param lockName gives the name that other clients know the lock by. */
export function lockPath(key: string, lockName: ((key: string) => string) | undefined): string {
  if (lockName !== undefined) {
    const name = lockName(key);
    checkKey(name, keys);
    return `${name}/`;
  }
  if (key.split('/').includes(LOCK_SEGMENT)) {
    const problem = `must not have a segment "${LOCK_SEGMENT}": locks are kept under that name`;
    throw refused('invalid-key', `the key ${quoteKey(key)} ${problem}`);
  }
  return `${key}/${LOCK_SEGMENT}/`;
}
