import { checkKey } from '../../contract/validate.ts';
import { queuePath, textKeys } from '../kit/keys.ts';

/** @param lockName gives the name that other clients know the lock by. */
export function lockPath(key: string, lockName: ((key: string) => string) | undefined): string {
  if (lockName === undefined) return queuePath(key);
  const name = lockName(key);
  checkKey(name, textKeys);
  return `${name}/`;
}
