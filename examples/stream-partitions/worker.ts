import { setTimeout as sleep } from 'node:timers/promises';
import type { SyncManager } from 'holdfast';
import { type Fleet, type Lease, LeasePool } from 'holdfast/leases';
import type { Ledger } from './ledger.ts';

export interface Partition {
  /** How many events it has. */
  readonly events: number;
}

/** The number of the last event that is done. */
export type Position = number;

/** What a worker tells of itself. */
export type News =
  | { readonly type: 'ready' }
  | { readonly type: 'assignment'; readonly partitions: readonly string[] }
  | { readonly type: 'checkpoint'; readonly partition: string; readonly position: Position };

/** Events that are worked on between two checkpoints. */
const BATCH = 20;

export const poolOf = (sync: SyncManager, stream: string): LeasePool<Partition, Position> =>
  new LeasePool<Partition, Position>(sync, { prefix: stream });

/** Works on this worker's share of the partitions, until its manager stops. */
export async function startWorker(
  sync: SyncManager,
  stream: string,
  pace: number,
  ledger: Ledger,
  tell: (news: News) => void,
): Promise<Fleet<Partition, Position>> {
  await sync.connect();
  const pool = poolOf(sync, stream);
  const fleet = pool.balance({ yieldTimeout: 3_000 }, (lease) => workOn(lease, pace, ledger, tell));
  fleet.assignment$.subscribe((partitions) => tell({ type: 'assignment', partitions }));
  tell({ type: 'ready' });
  return fleet;
}

async function workOn(
  lease: Lease<Partition, Position>,
  pace: number,
  ledger: Ledger,
  tell: (news: News) => void,
): Promise<void> {
  const { id: partition, signal } = lease;
  const token = String(lease.token);
  // Asked to finish, it ends what it has begun, and no more.
  while (!lease.yielding.aborted) {
    const begin = lease.position ?? 0;
    const end = Math.min(begin + BATCH, lease.item.attributes.events);
    if (end === begin) return await ended(lease.yielding);
    for (let event = begin + 1; event <= end; event++) {
      await sleep(pace, undefined, { signal });
      ledger.append({ partition, token, event });
    }
    await lease.checkpoint(end);
    ledger.append({ partition, token, checkpoint: end });
    tell({ type: 'checkpoint', partition, position: end });
  }
}

/** There is nothing more to do, and the partition stays here: more events may come. */
function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
