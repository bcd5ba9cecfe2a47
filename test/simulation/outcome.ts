import type { System, Violation } from './system.ts';

/** Of one run. */
export interface Outcome {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly trace: readonly string[];
  readonly turns: number;
}

/** What happened, and how to see it happen again. */
export function describeOutcome({ name }: System, { seed, violations }: Outcome): string {
  const lines = violations.map(({ rule, at, detail }) => `${at.toFixed(1)} ms: ${rule}: ${detail}`);
  const replay = `npm run test:simulation -- --workload ${name} --replay ${seed}`;
  return [`${name}, seed ${seed}`, ...lines, replay].join('\n');
}
