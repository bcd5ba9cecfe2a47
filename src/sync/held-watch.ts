import { sleep } from './abort.ts';
import { type Clock, type Cursor, isSyncError, type StoredRecord } from './backend.ts';
import { retryDelay } from './backoff.ts';
import type { Contest, Holding, RecordLoss } from './contention/contention.ts';
import type { Session } from './session.ts';

/**
 * The record of a held lock is looked at again after this part of the time for which its session is believed in, whether
 * or not anything was heard of it: time enough to be refused, and to be told before that time is over.
 */
const LOOK_SHARE = 0.8;

/**
 * Watches the record we hold by, and resolves when it is no longer ours. Rejects with the signal's reason.
 *
 * A look that fails says nothing about the record: the session's deadline decides. But one that is denied, for as long as
 * the last good one would be believed, is a loss: etcd renews the lease of a user who has no right to anything any more.
 */
export async function watchHeld(
  clock: Clock,
  contest: Contest,
  session: Session,
  holding: Holding,
  signal: AbortSignal,
  trouble: (error: unknown) => void,
): Promise<RecordLoss> {
  const { backend } = contest;
  const scope = { key: holding.record };
  const wait = session.patience * LOOK_SHARE;
  let since: Cursor | undefined;
  let lookedAt = clock.now();
  let failures = 0;
  for (;;) {
    try {
      const options = since === undefined ? { signal } : { since, wait, signal };
      const { records, at } = await backend.query(scope, options);
      const loss = lossIn(records[0], holding);
      if (loss !== undefined) return loss;
      since = at;
      lookedAt = clock.now();
      failures = 0;
    } catch (error) {
      if (signal.aborted) throw error;
      trouble(error);
      const pause = retryDelay(error, failures, clock.random());
      failures += 1;
      const denied = isSyncError(error, 'permission-denied');
      const left = denied ? lookedAt + session.patience - clock.now() : Number.POSITIVE_INFINITY;
      await sleep(clock, Math.min(left, pause), signal);
      if (left <= pause) return 'permission-denied';
    }
  }
}

function lossIn(record: StoredRecord | undefined, holding: Holding): RecordLoss | undefined {
  if (record === undefined) return 'record-gone';
  if (record.revision === holding.revision) return undefined;
  const inOurPlace = record.session === undefined || record.session === holding.session;
  return inOurPlace ? 'record-overwritten' : 'record-gone';
}
