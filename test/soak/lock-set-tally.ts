import type { Seen } from '../testing/replay.ts';
import type { Outcome } from './lock-set-protocol.ts';

/** What became of the writes of one variant. */
export class Tally {
  readonly seen: Seen[] = [];
  readonly outcomes: Record<Outcome, number> = { accepted: 0, refused: 0, unknown: 0 };
  /** Of an accepted write. */
  largest = 0n;

  ended(outcome: Outcome, token: bigint): void {
    this.outcomes[outcome]++;
    if (outcome === 'accepted' && token > this.largest) this.largest = token;
  }

  /** Acknowledged increments that are not among those counted at the end. */
  lost(counted: number): number {
    return Math.max(0, this.outcomes.accepted - counted);
  }
}
