import { Window } from '../async/window.ts';
import { Bench } from './conformance/bench.ts';
import { commitRules } from './conformance/commits.ts';
import { conditionRules } from './conformance/conditions.ts';
import { endingRules } from './conformance/ending.ts';
import { keyRules } from './conformance/keys.ts';
import { lockDelayRules, noLockDelayRules } from './conformance/lock-delay.ts';
import { queueRules } from './conformance/queues.ts';
import { refusalRules } from './conformance/refusals.ts';
import { revisionRules } from './conformance/revisions.ts';
import type { Rule } from './conformance/rule.ts';
import { scopeRules } from './conformance/scopes.ts';
import { serialRules } from './conformance/serial.ts';
import { sessionEndRules } from './conformance/session-ends.ts';
import { sessionRules } from './conformance/sessions.ts';
import {
  type ConformanceCase,
  type ConformanceClientOptions,
  type ConformancePause,
  type ConformanceSubject,
  checkSubject,
} from './conformance/subject.ts';
import { tieRules } from './conformance/ties.ts';
import { togetherRules } from './conformance/together.ts';
import { valueRules } from './conformance/values.ts';
import { waitRules } from './conformance/waits.ts';
import { wakeRules } from './conformance/wakes.ts';
import { watchRules } from './conformance/watches.ts';

export type { ConformanceCase, ConformanceClientOptions, ConformancePause, ConformanceSubject };

/**
 * How many cases are under way at a time of those that keep the server busy. Each opens clients, each client connections;
 * Consul takes 200 from one address, and counts those of queries that are blocked for nobody for some seconds yet.
 */
const AT_A_TIME = 4;

/**
 * What every backend must do, one case a rule. Each case opens its own clients, works under a prefix of its own and
 * leaves no record and no session, so cases can run in parallel against a shared server. All may be started at once: those
 * of one call wait for each other where that is too much for a server with its default limits. A case that fails rejects.
 *
 * Throws a `SyncError` `invalid-option` that names what is wrong with the subject.
 */
export function conformance(subject: ConformanceSubject): ConformanceCase[] {
  checkSubject(subject);
  const window = new Window(AT_A_TIME);
  const rules: Rule[] = [
    ...conditionRules,
    ...commitRules,
    ...togetherRules,
    ...revisionRules,
    ...serialRules,
    ...queueRules,
    ...sessionRules,
    ...sessionEndRules,
    ...scopeRules,
    ...tieRules,
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
    // What is slow waits for an expiry or a delay, and asks for little meanwhile: in turn they would take minutes.
    run: () => (slow ? Bench.run(subject, check) : inTurn(window, () => Bench.run(subject, check))),
  }));
}

async function inTurn(window: Window, work: () => Promise<void>): Promise<void> {
  await window.come(false);
  try {
    await work();
  } finally {
    window.leave();
  }
}
