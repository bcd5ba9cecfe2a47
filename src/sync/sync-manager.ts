import type { Observable } from 'rxjs';
import { OwnContext } from '../async/own-context.ts';
import { processWide } from '../async/process-wide.ts';
import { Window } from '../async/window.ts';
import { throwIfAborted } from './abort.ts';
import { type Clock, type CommitResult, REFUSED, SyncError } from './backend.ts';
import { Background } from './background.ts';
import { Chronicle } from './chronicle.ts';
import { checkCommit, guardedCommit, type SyncCommit } from './commit.ts';
import { Connecting } from './connecting.ts';
import { Controllers } from './controllers.ts';
import { Delay } from './delay.ts';
import { end, type Parts } from './ending.ts';
import { type Engine, MOST_TURNS, UNWATCHED } from './engine.ts';
import { Outbox, type SyncEvent } from './events.ts';
import type { Grant } from './grant.ts';
import { healthOf, type SyncHealth } from './health.ts';
import { type HoldHost, hold, type Work } from './hold.ts';
import { type Holder, HolderWatch } from './holder.ts';
import { clockIn } from './in-context.ts';
import { Keyspace } from './keyspace.ts';
import { Leadership } from './leader.ts';
import type { LocalQueue } from './local-queue.ts';
import { LocalQueues } from './local-queues.ts';
import { Lock, type LockHost, type LockTally } from './lock.ts';
import { LockRegistry } from './lock-registry.ts';
import { logTo } from './logger.ts';
import { LongHolds } from './long-holds.ts';
import { Looks } from './looks.ts';
import { defaultMetadata, encodeMetadata, inPresentContext, type Metadata } from './metadata.ts';
import {
  ACQUIRE,
  type AcquireOptions,
  CALL,
  type CallOptions,
  type CheckedOptions,
  COMMIT,
  checkCallOptions,
  checkDuration,
  checkNames,
  checkOptions,
  invalid,
  LOCK,
  type LockOptions,
  STOP,
  type StopOptions,
  type SyncManagerOptions,
} from './options.ts';
import { Proofs } from './proofs.ts';
import { type Locks, OnceRuns, type RunOnceOptions, type RunOnceResult } from './run-once.ts';
import { acquireScoped, type OpenCall, type ScopedHost } from './scoped.ts';
import { SessionKeeper, type SessionState } from './session-keeper.ts';
import { Removals } from './stopping.ts';
import { forwardOnly } from './store-reset.ts';
import { Teller } from './telemetry.ts';
import { debugLog, Warnings } from './warnings.ts';
import { assertNotUnder } from './work-context.ts';

const STOP_BOUND = 5_000;

/** Backends belong to one manager. */
const taken = processWide('backends.1', () => new WeakSet<object>());

/**
 * Keeps one session alive at a coordination service, and hands out keyed locks over it. There is no I/O before the
 * first lock is asked for.
 *
 * While no clock runs faster than the margin allows, and no operator removes a session or a record, at most one
 * process believes that it holds a key. Always, even then: what the store grants has a larger token than all before, and
 * a commit guarded by `isOwner` never succeeds after another grant was made.
 */
export class SyncManager implements AsyncDisposable {
  /** Replays what becomes of the session. */
  readonly session$: Observable<SessionState>;
  /** Everything that happens, for logs and metrics. */
  readonly events$: Observable<SyncEvent>;
  readonly #options: CheckedOptions;
  readonly #clock: Clock;
  readonly #engine: Engine;
  readonly #keeper: SessionKeeper;
  readonly #defaultMetadata: () => Uint8Array;
  readonly #context = new OwnContext();
  readonly #outbox = new Outbox();
  readonly #chronicle = new Chronicle(this.#outbox);
  readonly #background: Background;
  readonly #locks = new LockRegistry<Lock>();
  readonly #tally: LockTally = { calls: 0, claimed: 0, granted: 0 };
  readonly #queues: LocalQueues;
  readonly #proofs: Proofs;
  readonly #openCalls = new Set<OpenCall>();
  readonly #lockHost: LockHost;
  readonly #scopedHost: ScopedHost;
  readonly #holders: HolderWatch;
  readonly #teller: Teller;
  readonly #holdHost: HoldHost;
  #leadership: Leadership | undefined;
  #onceRuns: OnceRuns | undefined;
  #leaderEnded = false;
  #running = true;
  #stopped: Promise<void> | undefined;

  /** Throws a `SyncError` `invalid-option` that names the option. */
  constructor(options: SyncManagerOptions) {
    this.#options = checkOptions(options);
    const { name, timing, logger, telemetry, clock, longHold } = this.#options;
    const context = this.#context;
    if (taken.has(this.#options.backend)) {
      const hint = 'give a function that makes one, as in "backend: () => memory()"';
      throw invalid('backend', `belongs to another manager already: ${hint}`);
    }
    taken.add(this.#options.backend);
    const backend = forwardOnly(this.#options.backend);
    const chronicle = this.#chronicle;
    const report = (error: unknown): void => chronicle.report(error);
    const trouble = (error: unknown): void => chronicle.trouble(error);
    const { session$, events$ } = chronicle;
    this.session$ = session$;
    this.events$ = events$;
    this.#clock = clock;
    this.#defaultMetadata = defaultMetadata(name, clock, backend.traits.maxValueBytes);
    this.#background = new Background(trouble);
    const background = (task: Promise<unknown>): void => this.#background.run(task);
    const log = logger ?? debugLog();
    if (log !== undefined) logTo(log, name, clock, events$);
    if (logger === undefined) chronicle.warn(new Warnings(name, clock));
    this.#keeper = new SessionKeeper(name, backend, timing, clock, chronicle, background);
    this.#keeper.listen(chronicle);
    this.#holders = new HolderWatch({ backend, clock, context, report, trouble, background });
    const observed = { name, backend: backend.traits.name, events$, health: () => this.health() };
    this.#teller = new Teller(telemetry, observed, report);
    this.#holdHost = { clock, teller: this.#teller, detectDeadlocks: this.#options.detectDeadlocks };
    this.#proofs = new Proofs(clock);
    this.#engine = {
      backend,
      keyspace: new Keyspace(this.#options.prefix, backend),
      clock,
      context,
      keeper: this.#keeper,
      outbox: this.#outbox,
      controllers: new Controllers(),
      turns: new Window(MOST_TURNS),
      unwatched: new Delay(clockIn(context, clock), UNWATCHED),
      patience: new Delay(clockIn(context, clock), timing.ttl),
      looks: new Looks(clockIn(context, clock)),
      longHolds: new LongHolds(
        clockIn(context, clock),
        longHold,
        () => this.#queues,
        (grant, ms) => chronicle.heldLong(grant, ms),
      ),
      removals: new Removals(),
      background,
    };
    const encode = (chosen: Metadata | undefined): Uint8Array => this.#encode(chosen);
    this.#queues = new LocalQueues(this.#engine, this.#proofs, this.#options.handOff, chronicle, () =>
      this.#engine.longHolds.begin(),
    );
    const queue = (key: string): LocalQueue => this.#queue(key);
    this.#lockHost = {
      clock,
      outbox: this.#outbox,
      report,
      queue,
      encode,
      isMade: (metadata) => typeof (metadata ?? this.#options.metadata) === 'function',
      teller: this.#teller,
      tally: this.#tally,
      keep: (lock) => this.#locks.keep(lock),
      letGo: (lock) => this.#locks.letGo(lock),
    };
    this.#scopedHost = { clock, openCalls: this.#openCalls, encode, background };
  }

  get name(): string {
    return this.#options.name;
  }

  /**
   * The standing claim to a key, idle at first. The same key gives the same `Lock`; one that is idle, and that nobody refers
   * or listens to any more, is forgotten with its metadata.
   * Throws `invalid-key`, `invalid-option` or `value-too-large` before any I/O, and `stopped`.
   */
  lock(key: string, options?: LockOptions): Lock {
    this.#assertRunning();
    this.#engine.keyspace.lockPath(key);
    if (options !== undefined) checkNames(options, LOCK);
    if (options?.metadata !== undefined) this.#encode(options.metadata);
    let lock = this.#locks.get(key);
    if (lock === undefined) {
      lock = new Lock(key, this.#lockHost);
      this.#locks.add(key, lock);
    }
    if (options?.metadata !== undefined) lock.metadata = inPresentContext(options.metadata);
    return lock;
  }

  /** The lock of the service's leadership: of the option `leadershipKey`, or `service/<name>/leadership`. */
  leadershipLock(): Lock {
    return this.lock(this.#options.leadershipKey);
  }

  /** The service's leadership: who leads, and what is done while this process does. Throws `stopped`. */
  get leadership(): Leadership {
    this.#leadership ??= new Leadership(this.leadershipLock(), this.observe(this.#options.leadershipKey), {
      clock: this.#clock,
      report: (error) => this.#chronicle.report(error),
      trouble: (error) => this.#chronicle.trouble(error, this.#options.leadershipKey),
      assertRunning: () => this.#assertRunning(),
    });
    return this.#leadership;
  }

  /**
   * Who holds a key, looked at without contending for it: no session, no write. `undefined` for nobody. Replays for its
   * subscribers; completes when the manager stops; never errors. Throws `invalid-key`.
   */
  observe(key: string): Observable<Holder | undefined> {
    return this.#holders.observe(this.#engine.keyspace.lockPath(key));
  }

  /**
   * Blocks until the lock is held, for this caller alone: callers of one process exclude one another, in the order in
   * which they asked. Give it back with `release()` or `await using`. Rejects as `Lock.lock` does.
   */
  acquire(key: string, options?: AcquireOptions): Promise<Grant> {
    // Only a call that asks once is told that the lock cannot be had now.
    return this.#acquire(key, options, false) as Promise<Grant>;
  }

  /**
   * Like `acquire`, but gives `undefined` when the lock cannot be had now: see `Lock.tryLock`. What it has begun at the store is
   * removed before, or in the background if that fails.
   */
  tryAcquire(key: string, options?: AcquireOptions): Promise<Grant | undefined> {
    return this.#acquire(key, options, true);
  }

  /**
   * Runs `work` while the lock is held, and releases it whatever happens. Rejects with what `work` rejects with, and with
   * a `SyncError` `lost` if the lock was lost before `work` was done: it should stop when `grant.signal` aborts. The limits of
   * the call hold for the wait before the work, and again for the release after it, which goes on in the background.
   */
  async withLock<T>(key: string, work: Work<T>, options?: AcquireOptions): Promise<T> {
    if (typeof work !== 'function') throw invalid('work', 'must be a function: withLock(key, work, options)');
    return await hold(this.#holdHost, await this.acquire(key, options), work, options);
  }

  /**
   * Runs `work` on at most one of all processes that ask within `atLeast` milliseconds, as replicas do whose clocks strike the same
   * hour; and on none while it is still being run. `work` holds the lock of that key meanwhile, as with `withLock`. Never waits for
   * it: who is not the one is told so at once, and so is who cannot reach the store.
   *
   * That it runs is noted in a guarded commit before it begins, at `<key>.last-run`: a run that dies with its process is not run
   * again. Distances in time are those of the wall clocks of who runs: see docs/services.md for clocks that differ.
   *
   * Rejects with what `work` rejects with, as `tryAcquire` and `withLock` do, and with `foreign-record`, where something else is
   * noted there. Then, too, the work is not run.
   */
  async runOnce<T>(key: string, options: RunOnceOptions, work: Work<T>): Promise<RunOnceResult<T>> {
    return await this.onceRuns.run(key, options, work);
  }

  /** @internal */
  get onceRuns(): OnceRuns {
    this.#onceRuns ??= this.#makeOnceRuns();
    return this.#onceRuns;
  }

  /**
   * Writes plain data, all or nothing. With `grant.isOwner` among the conditions it is a fenced write: it fails with
   * `conflict` once the grant is over, whatever this process believes. A rejection with `unavailable` leaves the outcome
   * unknown. A grant's release waits for its own writes.
   *
   * Refused before any I/O: with `invalid-option` what can be read in two ways and what is more than
   * `backend.traits.maxOperations`; with `invalid-key` a change of what is or may be a lock (a key with a segment `.lock`, or
   * one that this process holds or waits for). On a store where contenders race, the record of a lock that *another* process
   * holds is written over: its holder is told `record-overwritten`.
   */
  async commit(commit: SyncCommit, options?: { readonly signal?: AbortSignal }): Promise<CommitResult> {
    // The work of a leader may still write what it has to when it is told to end.
    if (this.#leadership === undefined || this.#leaderEnded) this.#assertRunning();
    const checked = checkCommit(commit, this.#engine.backend, this.#engine.keyspace, this.#queues.claims);
    const signal = checkCallOptions(options, COMMIT).signal ?? new AbortController().signal;
    // What it begins, such as a connection, is not this caller's alone.
    return await this.#engine.context.run(() => guardedCommit(checked, this.#engine, this.#proofs, signal));
  }

  /**
   * Opens the session, which else the first lock does, and resolves when it is live: for who wants to fail at start rather than
   * later. Rejects with what the server refuses, with `timeout` (and why), the signal's reason, or `stopped`. After a rejection it
   * goes on being tried.
   */
  async connect(options?: CallOptions): Promise<void> {
    this.#assertRunning();
    const checked = checkCallOptions(options, CALL);
    throwIfAborted(checked.signal);
    await new Connecting(this.#keeper, this.#clock, checked, this.#openCalls).promise;
  }

  /** How the manager is at this moment, for readiness probes. Asks nobody, and never throws. */
  health(): SyncHealth {
    return healthOf({
      running: this.#running,
      now: this.#clock.now(),
      session: this.#keeper.current,
      calls: this.#openCalls.size,
      leader: this.#locks.get(this.#options.leadershipKey)?.held ?? false,
      blindSince: this.#holders.blindSince,
      chronicle: this.#chronicle,
      tally: this.#tally,
    });
  }

  /**
   * Ends every claim, grant and call at once (calls reject with `stopped`), then removes their records, closes the session and
   * disposes the backend. Idempotent; rejects for nothing but an invalid `timeout`.
   */
  async stop(options?: StopOptions): Promise<void> {
    const { timeout = STOP_BOUND } = checkCallOptions(options, STOP);
    this.#running = false;
    this.#stopped ??= this.#context.run(() => end(this.#parts, timeout));
    await this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #parts(): Parts {
    return {
      name: this.name,
      engine: this.#engine,
      chronicle: this.#chronicle,
      background: this.#background,
      holders: this.#holders,
      queues: this.#queues,
      locks: this.#locks,
      openCalls: this.#openCalls,
      leadership: this.#leadership,
      leaderEnded: () => {
        this.#leaderEnded = true;
      },
    };
  }

  #makeOnceRuns(): OnceRuns {
    const locks: Locks = {
      name: this.name,
      check: (options) => void this.#checkAcquire(options),
      tryAcquire: (key, options) => this.tryAcquire(key, options),
      commit: (commit, options) => this.commit(commit, options),
    };
    const trouble = (error: unknown, key: string): void => this.#chronicle.trouble(error, key);
    return new OnceRuns(locks, this.#engine, this.#holdHost, trouble);
  }

  async #acquire(
    key: string,
    options: AcquireOptions | undefined,
    once: boolean,
  ): Promise<Grant | undefined> {
    const checked = this.#checkAcquire(options);
    const metadata = checked.metadata ?? this.#options.metadata;
    const queue = this.#queue(key);
    if (!once) assertNotUnder(queue.holder);
    return this.#teller.asking(key, once ? 'tryAcquire' : 'acquire', () =>
      acquireScoped(queue, checked, once, inPresentContext(metadata), this.#scopedHost),
    );
  }

  /** Throws before any I/O, for bad metadata too. */
  #checkAcquire(options: AcquireOptions | undefined): AcquireOptions {
    this.#assertRunning();
    const checked: AcquireOptions = checkCallOptions(options, ACQUIRE);
    if (checked.maxHold !== undefined) checkDuration('maxHold', checked.maxHold);
    throwIfAborted(checked.signal);
    this.#encode(checked.metadata ?? this.#options.metadata);
    return checked;
  }

  #queue(key: string): LocalQueue {
    this.#assertRunning();
    return this.#queues.of(key);
  }

  #encode(metadata: Metadata | undefined): Uint8Array {
    const { backend, metadata: ofManager } = this.#options;
    const chosen = metadata ?? ofManager;
    if (chosen === undefined || chosen === null) return this.#defaultMetadata();
    return encodeMetadata(chosen, backend.traits.maxValueBytes);
  }

  #assertRunning(): void {
    if (!this.#running) {
      throw new SyncError('stopped', `the manager "${this.name}" was stopped`, REFUSED);
    }
  }
}
