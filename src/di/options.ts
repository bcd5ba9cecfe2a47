import { SyncError } from '../index.ts';
import { type Names, unknownOption } from '../sync/known-options.ts';

/** Throws `invalid-option` for a name that nobody knows. */
export function refuseUnknown<T>(options: object, names: Names<T>): void {
  const unknown = unknownOption(options, names);
  if (unknown === undefined) return;
  const [name, problem] = unknown;
  throw new SyncError('invalid-option', `option "${name}" ${problem}`, { outcome: 'refused' });
}
