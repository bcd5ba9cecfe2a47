import { refused } from '../contract/errors.ts';
import { type Invalid, type Names, refuseUnknown } from '../contract/options.ts';

/** Throws `invalid-option` where a method is decorated, rather than at its first call. */
export function checkNames<T>(decorator: string, options: object, names: Names<T>): void {
  const invalid: Invalid = (option, problem) =>
    refused('invalid-option', `${decorator}: option "${option}" ${problem}`);
  refuseUnknown(options, names, invalid);
}
