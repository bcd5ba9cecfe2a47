import type { Entry } from './ledger.ts';

export interface Verdict {
  /** In words, each of them a mistake. */
  readonly faults: readonly string[];
  /** How many were worked on, without those that were repeated. */
  readonly events: number;
  /** How many were worked on again, since their worker ended between them and the next checkpoint. */
  readonly repeated: number;
  /** How many came from a worker that had lost its lease already. Their token tells, and they count for nothing. */
  readonly stale: number;
}

interface Partition {
  token: bigint;
  /** The last event in this lease. */
  last: number;
  /** The furthest in all of them. */
  furthest: number;
  checkpoint: number;
}

/**
 * Whether each partition was worked on in order, from its first event to its last: each lease begins behind the checkpoint that it
 * found, repeats nothing from before it, and leaves nothing out.
 */
export function judge(entries: readonly Entry[], partitions: readonly string[], events: number): Verdict {
  const found = new Map<string, Partition>();
  const faults: string[] = [];
  let [repeated, stale] = [0, 0];
  for (const entry of entries) {
    const { partition } = entry;
    const token = BigInt(entry.token);
    const seen = found.get(partition) ?? { token: -1n, last: 0, furthest: 0, checkpoint: 0 };
    found.set(partition, seen);
    if (token < seen.token) {
      stale += 1;
      continue;
    }
    if ('checkpoint' in entry) {
      if (entry.checkpoint > seen.last)
        faults.push(`partition ${partition}: checkpoint ${entry.checkpoint} is ahead of the work`);
      seen.checkpoint = Math.max(seen.checkpoint, entry.checkpoint);
      continue;
    }
    const { event } = entry;
    if (token > seen.token) {
      if (event <= seen.checkpoint)
        faults.push(
          `partition ${partition}: ${event} was repeated, from before the checkpoint ${seen.checkpoint}`,
        );
      if (event > seen.furthest + 1) faults.push(`partition ${partition}: ${seen.furthest + 1} was left out`);
    } else if (event !== seen.last + 1) {
      faults.push(`partition ${partition}: ${event} came after ${seen.last}`);
    }
    if (event <= seen.furthest) repeated += 1;
    found.set(partition, { ...seen, token, last: event, furthest: Math.max(seen.furthest, event) });
  }
  let done = 0;
  for (const partition of partitions) {
    const furthest = found.get(partition)?.furthest ?? 0;
    done += furthest;
    if (furthest !== events) faults.push(`partition ${partition}: ended at ${furthest} of ${events}`);
  }
  return { faults, events: done, repeated, stale };
}
