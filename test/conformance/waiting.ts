import { endingRules } from '../../src/testing/conformance/ending.ts';
import { queueRules } from '../../src/testing/conformance/queues.ts';
import { scopeRules } from '../../src/testing/conformance/scopes.ts';
import { sessionEndRules } from '../../src/testing/conformance/session-ends.ts';
import { tieRules } from '../../src/testing/conformance/ties.ts';
import { waitRules } from '../../src/testing/conformance/waits.ts';
import { wakeRules } from '../../src/testing/conformance/wakes.ts';
import { watchRules } from '../../src/testing/conformance/watches.ts';
import type { ConformanceCase } from '../../src/testing/conformance.ts';

const waiting = [
  ...queueRules,
  ...sessionEndRules,
  ...scopeRules,
  ...tieRules,
  ...wakeRules,
  ...waitRules,
  ...watchRules,
  ...endingRules,
].map(({ name }) => name);

/**
 * Of a client that looks for changes every now and then: the cases about waiting. All else is the same code as that of one
 * that listens. `npm run test:soak -- postgres-versions` runs all of them.
 */
export function casesOfPolling(cases: readonly ConformanceCase[]): readonly ConformanceCase[] {
  return process.env.HOLDFAST_SOAK ? cases : cases.filter(({ name }) => waiting.includes(name));
}
