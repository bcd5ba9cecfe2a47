import { type Grant, isSyncError, type StoredRecord, type SyncManager } from 'holdfast';

/** What a replica tells of itself. Tokens travel as text: they are larger than a JSON number may be. */
export type Report =
  | { readonly type: 'leading'; readonly token: string }
  | { readonly type: 'leadership-lost'; readonly reason: string }
  | { readonly type: 'session'; readonly id: string }
  | { readonly type: 'counted'; readonly value: number; readonly token: string }
  | { readonly type: 'trouble'; readonly message: string };

/** Where the replicas meet. */
export const COUNTER_LOCK = 'demo/counter';
export const counterKey = (run: string): string => `demo/${run}/counter`;
export const tallyKey = (run: string, replica: number): string => `demo/${run}/tally/${replica}`;

/**
 * One replica of a service: stands for leadership, and increments a shared counter under a lock until told to stop.
 *
 * The increment is a guarded read and a guarded write. The write also counts the replica's own tally in the same
 * atomic step, so the sum of the tallies is what the counter has to be, whoever dies when.
 */
export async function runReplica(
  sync: SyncManager,
  run: string,
  replica: number,
  report: (report: Report) => void,
  stopped: AbortSignal,
): Promise<void> {
  sync.session$.subscribe((state) => {
    if (state.name === 'live') report({ type: 'session', id: state.id });
  });
  sync.events$.subscribe((event) => {
    if (event.type === 'trouble') report({ type: 'trouble', message: String(event.error) });
  });
  const leadership = sync.leadershipLock();
  leadership.lost$.subscribe(({ reason }) => report({ type: 'leadership-lost', reason }));
  leadership.state$.subscribe((state) => {
    if (state.name === 'held') report({ type: 'leading', token: String(state.token) });
  });
  // The claim stands: who is not elected now is next in line.
  leadership.tryLock().catch(() => undefined);

  while (!stopped.aborted) {
    try {
      await sync.withLock(`${COUNTER_LOCK}/${run}`, (grant) => count(sync, grant, run, replica, report), {
        signal: stopped,
      });
    } catch (error) {
      if (stopped.aborted || isSyncError(error, 'stopped')) return;
      // Lost while it worked: the guarded write was refused or has counted, and the next round reads anew.
      if (!isSyncError(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function count(
  sync: SyncManager,
  { isOwner, token }: Grant,
  run: string,
  replica: number,
  report: (report: Report) => void,
): Promise<void> {
  const [counter, own] = [counterKey(run), tallyKey(run, replica)];
  // Read and written under the grant's own condition: refused once another grant was made, whatever we believe.
  const read = await sync.commit({ when: [isOwner], read: { prefix: `demo/${run}/` } });
  if (!read.ok) return;
  const tally = numberAt(read.read, own) + 1;
  const value = numberAt(read.read, counter) + 1;
  const written = await sync.commit({
    when: [isOwner],
    then: [
      { put: counter, value: String(value) },
      { put: own, value: String(tally) },
    ],
  });
  if (written.ok) report({ type: 'counted', value, token: String(token) });
}

export function numberAt(records: readonly StoredRecord[] = [], key: string): number {
  const record = records.find((candidate) => candidate.key === key);
  return record === undefined ? 0 : Number(new TextDecoder().decode(record.value));
}
