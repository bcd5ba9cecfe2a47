import { MemoryStore, memory } from '../../src/backends/memory/index.ts';
import { SyncError, SyncManager } from '../../src/index.ts';
import type { Outcome } from './simulate.ts';
import type { Subject } from './world.ts';

/** The library as it is. */
export const library: Subject = { SyncManager, SyncError, MemoryStore, memory };

/** What happened, and how to see it happen again. */
export function describeOutcome({ seed, violations }: Outcome): string {
  const lines = violations.map(({ rule, at, detail }) => `${at.toFixed(1)} ms: ${rule}: ${detail}`);
  return [`seed ${seed}`, ...lines, `npm run test:simulation -- --replay ${seed}`].join('\n');
}
