import { Bench } from './conformance/bench.ts';
import { commitRules } from './conformance/commits.ts';
import { conditionRules } from './conformance/conditions.ts';
import { endingRules } from './conformance/ending.ts';
import { keyRules } from './conformance/keys.ts';
import { lockDelayRules, noLockDelayRules } from './conformance/lock-delay.ts';
import { refusalRules } from './conformance/refusals.ts';
import { revisionRules } from './conformance/revisions.ts';
import { scopeRules } from './conformance/scopes.ts';
import { sessionRules } from './conformance/sessions.ts';
import type { ConformanceCase, ConformanceSubject } from './conformance/subject.ts';
import { togetherRules } from './conformance/together.ts';
import { valueRules } from './conformance/values.ts';
import { waitRules } from './conformance/waits.ts';
import { wakeRules } from './conformance/wakes.ts';
import { watchRules } from './conformance/watches.ts';

export type { ConformanceCase, ConformanceSubject };

/**
 * What every backend must do, one case a rule. Each case opens its own clients, works under a prefix of its own and
 * leaves no record and no session, so cases can run in parallel against a shared server. A case that fails rejects.
 */
export function conformance(subject: ConformanceSubject): ConformanceCase[] {
  const rules = [
    ...conditionRules,
    ...commitRules,
    ...togetherRules,
    ...revisionRules,
    ...sessionRules,
    ...scopeRules,
    ...wakeRules,
    ...waitRules,
    ...watchRules,
    ...keyRules,
    ...valueRules,
    ...refusalRules,
    ...endingRules,
    ...(subject.lockDelay === undefined ? noLockDelayRules : lockDelayRules),
  ];
  return rules.map(({ name, slow = false, check }) => ({
    name,
    slow,
    run: () => Bench.run(subject, check),
  }));
}
