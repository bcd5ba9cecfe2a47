import { SyncError } from '../index.ts';
import { type Names, unknownOption } from '../sync/known-options.ts';

/** Throws `invalid-option` where a method is decorated, rather than at its first call. */
export function checkNames<T>(decorator: string, options: object, names: Names<T>): void {
  const unknown = unknownOption(options, names);
  if (unknown === undefined) return;
  const [name, problem] = unknown;
  throw new SyncError('invalid-option', `${decorator}: option "${name}" ${problem}`, { outcome: 'refused' });
}
