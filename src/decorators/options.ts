import { type Names, refuseUnknown } from '../contract/options.ts';
import { SyncError } from '../index.ts';

/** Throws `invalid-option` where a method is decorated, rather than at its first call. */
export function checkNames<T>(decorator: string, options: object, names: Names<T>): void {
  const invalid = (option: string, problem: string): SyncError =>
    new SyncError('invalid-option', `${decorator}: option "${option}" ${problem}`, { outcome: 'refused' });
  refuseUnknown(options, names, invalid);
}
