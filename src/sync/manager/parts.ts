import { Background } from '../../async/background.ts';
import { clockIn } from '../../async/clock-in-context.ts';
import { Controllers } from '../../async/controllers.ts';
import { Notifications } from '../../async/notifications.ts';
import { OwnContext } from '../../async/own-context.ts';
import { processWide } from '../../async/process-wide.ts';
import { SharedTimer } from '../../async/shared-timer.ts';
import { Window } from '../../async/window.ts';
import { invalid } from '../../contract/options.ts';
import { CallTelemetry } from '../callers/call-telemetry.ts';
import type { CallersHost } from '../callers/callers-host.ts';
import { Claims } from '../callers/claims.ts';
import { checkCommit, type SyncCommit } from '../callers/guarded-commit.ts';
import type { HoldHost } from '../callers/hold.ts';
import { Keyspace } from '../callers/keyspace.ts';
import { LocalQueues } from '../callers/local-queues.ts';
import type { Lock, LockHost, LockTally } from '../callers/lock.ts';
import { LockRegistry } from '../callers/lock-registry.ts';
import { LongHolds } from '../callers/long-holds.ts';
import { defaultMetadata, encodeMetadata } from '../callers/metadata.ts';
import { OwnedRecords } from '../callers/owned-records.ts';
import { Proofs } from '../callers/proofs.ts';
import { Queries } from '../callers/queries.ts';
import type { OpenCall, ScopedHost } from '../callers/scoped.ts';
import { Views } from '../callers/views.ts';
import { MOST_TURNS, UNWATCHED } from '../contender/contender-host.ts';
import { LookTimes } from '../contender/look-times.ts';
import { Removals } from '../contender/removals.ts';
import { logTo } from '../reports/logger.ts';
import { ManagerEvents } from '../reports/manager-events.ts';
import { debugLog, Warnings } from '../reports/warnings.ts';
import { SessionKeeper } from '../session/session-keeper.ts';
import { forwardOnly } from './forward-only.ts';
import type { CheckedOptions } from './options.ts';
import { Stages } from './stages.ts';

/** What a manager is made of. */
export type Parts = ReturnType<typeof assemble>;

/** Backends belong to one manager. */
const taken = processWide('backends.1', () => new WeakSet<object>());

/**
 * Makes all of it from options that were checked; nothing is asked of the store.
 *
 * @param assertRunning throws `stopped` after the manager was stopped.
 */
export function assemble(options: CheckedOptions, assertRunning: () => void) {
  take(options.backend);
  const { name, clock, timing, logger, longHold } = options;
  const backend = forwardOnly(options.backend);
  const context = new OwnContext();
  const notifications = new Notifications();
  const events = new ManagerEvents(notifications);
  const report = (error: unknown): void => events.report(error);
  const trouble = (error: unknown): void => events.trouble(error);
  const tasks = new Background(trouble);
  const background = (task: Promise<unknown>): void => tasks.run(task);
  const log = logger ?? debugLog();
  if (log !== undefined) logTo(log, name, clock, events.events$);
  if (logger === undefined) events.warn(new Warnings(name, clock));
  const keeper = new SessionKeeper(name, backend, timing, clock, events, background);
  keeper.listen(events);
  const telemetry = new CallTelemetry(report);
  const ownClock = clockIn(context, clock);
  const host: CallersHost = {
    backend,
    keyspace: new Keyspace(options.prefix, backend),
    clock,
    context,
    keeper,
    notifications,
    controllers: new Controllers(),
    turns: new Window(MOST_TURNS),
    unwatched: new SharedTimer(ownClock, UNWATCHED),
    patience: new SharedTimer(ownClock, timing.ttl),
    lookTimes: new LookTimes(ownClock),
    removals: new Removals(),
    background,
  };
  const proofs = new Proofs(clock);
  const longHolds: LongHolds = new LongHolds(
    ownClock,
    longHold,
    () => queues,
    (grant, ms) => events.heldLong(grant, ms),
  );
  const queues = new LocalQueues(host, proofs, options.handOff, events, () => longHolds.begin());
  const encode = encoderOf(options);
  const locks = new LockRegistry<Lock>();
  const tally: LockTally = { calls: 0, claimed: 0, granted: 0 };
  const openCalls = new Set<OpenCall>();
  const owned = new OwnedRecords({
    backend,
    clock,
    context,
    keeper,
    keyspace: host.keyspace,
    openCalls,
    background,
    trouble: (error, key) => events.trouble(error, key),
    lost: (key, kept) => events.recordLost(key, kept),
  });
  const check = (commit: SyncCommit, spare = 0) =>
    checkCommit(commit, backend, host.keyspace, queues.protectedKeys, owned, spare);
  const claims = new Claims({
    callers: host,
    proofs,
    events,
    openCalls,
    check,
    written: (then) => owned.removed(then),
    problem: (key) =>
      owned.has(key) ? "is a record of this manager's session" : queues.protectedKeys.problem(key),
  });
  queues.protectedKeys.include(claims);
  queues.exclude((key) => claims.has(key) || owned.has(key));
  const lockHost: LockHost = {
    clock,
    notifications,
    report,
    queue: (key) => {
      assertRunning();
      return queues.of(key);
    },
    encode,
    isMade: (metadata) => typeof (metadata ?? options.metadata) === 'function',
    telemetry,
    tally,
    keep: (lock) => locks.keep(lock),
    letGo: (lock) => locks.letGo(lock),
  };
  const holdHost: HoldHost = { clock, telemetry, detectDeadlocks: options.detectDeadlocks };
  return {
    options,
    host,
    events,
    tasks,
    telemetry,
    holders: new Views({ backend, clock, context, report, trouble, background }),
    views: new Views({ backend, clock, context, report, trouble, background }),
    queries: new Queries(host, name),
    stages: new Stages(clock, report),
    check,
    claims,
    owned,
    proofs,
    queues,
    longHolds,
    locks,
    tally,
    openCalls,
    lockHost,
    holdHost,
    scopedHost: { clock, openCalls, encode, background },
    encode,
  };
}

function take(backend: object): void {
  if (taken.has(backend)) {
    const hint = 'give a function that makes one, as in "backend: () => memory()"';
    throw invalid('backend', `belongs to another manager already: ${hint}`);
  }
  taken.add(backend);
}

/** With the manager's own metadata, unless some was chosen. */
function encoderOf({ name, clock, backend, metadata }: CheckedOptions): ScopedHost['encode'] {
  const { maxValueBytes } = backend.traits;
  const byDefault = defaultMetadata(name, clock, maxValueBytes);
  return (chosen = metadata) =>
    chosen === undefined || chosen === null ? byDefault() : encodeMetadata(chosen, maxValueBytes);
}
