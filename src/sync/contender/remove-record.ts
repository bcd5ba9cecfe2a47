import type { Revision } from '../../contract/backend.ts';
import type { LockContext } from './strategy.ts';

/**
 * Removes a record if it is still the one that was seen. Without this condition a repeated release could remove
 * the lock of whoever came after us. `false`: it changed in between.
 */
export async function removeRecord(
  lock: LockContext,
  seen: { readonly key: string; readonly revision: Revision },
  signal: AbortSignal,
): Promise<boolean> {
  const { key, revision } = seen;
  const result = await lock.backend.commit({ when: [{ key, revision }], then: [{ remove: key }] }, signal);
  return result.ok;
}
