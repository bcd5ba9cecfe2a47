import type { Revision } from '../backend.ts';
import type { Contest, Holding, RecordLoss } from './contention.ts';

/**
 * Removes a record if it is still the one that was seen. Without this condition a repeated release could remove
 * the lock of whoever came after us. `false`: it changed in between.
 */
export async function removeRecord(
  contest: Contest,
  seen: { readonly key: string; readonly revision: Revision },
  signal: AbortSignal,
): Promise<boolean> {
  const { key, revision } = seen;
  const result = await contest.backend.commit({ when: [{ key, revision }], then: [{ remove: key }] }, signal);
  return result.ok;
}

/**
 * Watches the record we hold by, and resolves when it is no longer ours. Errors reject: they say nothing about the
 * record, and the session's deadline decides.
 */
export async function watchRecord(
  contest: Contest,
  holding: Holding,
  signal: AbortSignal,
): Promise<RecordLoss> {
  const scope = { key: holding.record };
  let { records, at } = await contest.backend.query(scope, { signal });
  for (;;) {
    const record = records[0];
    if (record === undefined) return 'record-gone';
    if (record.revision !== holding.revision) {
      return record.session === undefined || record.session === holding.session
        ? 'record-overwritten'
        : 'record-gone';
    }
    ({ records, at } = await contest.backend.query(scope, { since: at, wait: contest.wait, signal }));
  }
}
