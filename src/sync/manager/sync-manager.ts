import { filter, map, type Observable, ReplaySubject, share } from 'rxjs';
import type { Clock } from '../../async/clock.ts';
import { throwIfAborted } from '../../async/sleep.ts';
import type {
  BackendTraits,
  CommitResult,
  QueryResult,
  Scope,
  StoredRecord,
} from '../../contract/backend.ts';
import { refused } from '../../contract/errors.ts';
import { checkDuration, checkNames, invalid } from '../../contract/options.ts';
import {
  ACQUIRE,
  type AcquireOptions,
  CALL,
  type CallOptions,
  COMMIT,
  type CommitOptions,
  checkCallOptions,
  LOCK,
  type LockOptions,
} from '../callers/call-options.ts';
import { Change } from '../callers/change.ts';
import type { Claim, ClaimOptions } from '../callers/claim.ts';
import { checkWithin } from '../callers/commit-within.ts';
import { Connecting } from '../callers/connecting.ts';
import type { Grant } from '../callers/grant.ts';
import { guardedCommit, type SyncCommit } from '../callers/guarded-commit.ts';
import { hold, type Work } from '../callers/hold.ts';
import { Lock } from '../callers/lock.ts';
import { inPresentContext } from '../callers/metadata.ts';
import type { SyncQueryOptions } from '../callers/queries.ts';
import { type Locks, OnceRuns, type RunOnceOptions, type RunOnceResult } from '../callers/run-once.ts';
import { acquireScoped } from '../callers/scoped.ts';
import { assertNotUnder } from '../callers/work-context.ts';
import { type Holder, observeHolder } from '../leadership/holder-watch.ts';
import { Leadership } from '../leadership/leadership.ts';
import { healthOf, type SyncHealth } from '../reports/health.ts';
import type { Logger } from '../reports/logger.ts';
import type { SyncEvent } from '../reports/sync-event.ts';
import type { SessionState } from '../session/session-keeper.ts';
import { type ForkOptions, forkOptions } from './fork.ts';
import { checkOptions, STOP, type StopOptions, type SyncManagerOptions } from './options.ts';
import { assemble, type Parts } from './parts.ts';
import type { StopStage } from './stages.ts';
import { end } from './stop.ts';

const STOP_BOUND = 5_000;

/** Milliseconds between two looks of a watch at least: Consul and etcd read a prefix as a whole. */
const WATCH_EVERY = 20;

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
  readonly #parts: Parts;
  #leadership: Leadership | undefined;
  #onceRuns: OnceRuns | undefined;
  #workEnded = false;
  #running = true;
  #stopped: Promise<void> | undefined;

  /** Throws a `SyncError` `invalid-option` that names the option. */
  constructor(options: SyncManagerOptions) {
    const checked = checkOptions(options);
    this.#parts = assemble(checked, () => this.#assertRunning());
    const { session$, events$ } = this.#parts.events;
    this.session$ = session$;
    this.events$ = events$;
    const { name, backend, telemetry } = checked;
    const observed = { name, backend: backend.traits.name, events$, health: () => this.health() };
    this.#parts.telemetry.begin(() => telemetry?.observe(observed));
  }

  get name(): string {
    return this.#parts.options.name;
  }

  /**
   * The standing claim to a key, idle at first. The same key gives the same `Lock`; one that is idle, and that nobody refers
   * or listens to any more, is forgotten with its metadata.
   * Throws `invalid-key`, `invalid-option` or `value-too-large` before any I/O, and `stopped`.
   */
  lock(key: string, options?: LockOptions): Lock {
    this.#assertRunning();
    const { host, locks, lockHost, encode } = this.#parts;
    host.keyspace.lockPath(key);
    if (options !== undefined) checkNames(options, LOCK);
    if (options?.metadata !== undefined) encode(options.metadata);
    let lock = locks.get(key);
    if (lock === undefined) {
      lock = new Lock(key, lockHost);
      locks.add(key, lock);
    }
    if (options?.metadata !== undefined) lock.metadata = inPresentContext(options.metadata);
    return lock;
  }

  /** The lock of the service's leadership: of the option `leadershipKey`, or `service/<name>/leadership`. */
  leadershipLock(): Lock {
    return this.lock(this.#parts.options.leadershipKey);
  }

  /** The service's leadership: who leads, and what is done while this process does. Throws `stopped`. */
  get leadership(): Leadership {
    const { options, events } = this.#parts;
    const { clock, leadershipKey } = options;
    this.#leadership ??= new Leadership(this.leadershipLock(), this.observe(leadershipKey), {
      clock,
      report: (error) => events.report(error),
      trouble: (error) => events.trouble(error, leadershipKey),
      assertRunning: () => this.#assertRunning(),
    });
    return this.#leadership;
  }

  /**
   * Who holds a key, looked at without contending for it: no session, no write. `undefined` for nobody. Replays for its
   * subscribers; completes when the manager stops; never errors. Throws `invalid-key`.
   */
  observe(key: string): Observable<Holder | undefined> {
    const { holders, host } = this.#parts;
    return observeHolder(holders, host.backend.traits, host.keyspace.lockPath(key));
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
    return await hold(this.#parts.holdHost, await this.acquire(key, options), work, options);
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
    if (this.#onceRuns !== undefined) return this.#onceRuns;
    const { host, holdHost, events } = this.#parts;
    const locks: Locks = {
      name: this.name,
      check: (options) => void this.#checkAcquire(options),
      tryAcquire: (key, options) => this.tryAcquire(key, options),
      commit: (commit, options) => this.commit(commit, options),
    };
    this.#onceRuns = new OnceRuns(locks, host, holdHost, (error, key) => events.trouble(error, key));
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
   *
   * With `in` it is a part of a transaction of yours: rolled back, nothing was written. A proof holds until your COMMIT, and the
   * grant is given back after that: begin the transaction under the lock, and end it before the release. An error with `outcome`
   * `refused` means that the transaction is to be rolled back, and, with `unavailable`, may be run again.
   */
  async commit(commit: SyncCommit, options?: CommitOptions): Promise<CommitResult> {
    // What is told to end may still write what it has to.
    if (this.#workEnded) this.#assertRunning();
    const { host, proofs, owned, check } = this.#parts;
    const checked = check(commit);
    const { signal = new AbortController().signal, in: transaction }: CommitOptions = checkCallOptions(
      options,
      COMMIT,
    );
    if (transaction instanceof Change) {
      transaction.add(commit);
      return { ok: true, revision: 0n };
    }
    if (transaction !== undefined) {
      if (checked.owned !== undefined) {
        throw invalid('in', 'is a transaction, which cannot write what is owned by a session');
      }
      checkWithin(host.backend);
      throwIfAborted(signal);
      return await guardedCommit(checked, host, proofs, owned, signal, transaction);
    }
    // What it begins, such as a connection, is not this caller's alone.
    return await host.context.run(() => guardedCommit(checked, host, proofs, owned, signal));
  }

  /**
   * Collects a commit that several hands put together: it goes wherever a transaction goes, as `sync.commit(..., { in: change })`
   * and the systems on this surface take one. What is added is checked when it is added there, and all of it when it is committed.
   */
  begin(): Change {
    return new Change((commit, signal) => this.commit(commit, signal === undefined ? {} : { signal }));
  }

  /**
   * Races for one record: the grant, if nothing is there and `when` holds; `undefined` if that is not so now, or if this process has
   * claimed the key already. `then` is written and `read` is read in the commit that makes the record. Waits for a live session, and
   * until the outcome is known. Nothing queues for it, so a claim is no lock: watch the key, or what it depends on, to try again.
   *
   * The record is plain to see: `key` with `value`, owned by the session. It is refused with `invalid-key` where it could be a
   * lock's, and rejects with `foreign-record` where something stands that no session owns; else as `commit` and `acquire` do. Who
   * does not get it is told `unavailable` where nobody can tell whether `then` was written. A request without an answer may come
   * through as late as after the release: what must be written once has a condition in `when` that does not hold twice.
   */
  async claim(key: string, options?: ClaimOptions): Promise<Claim | undefined> {
    this.#assertRunning();
    const { host, claims } = this.#parts;
    return await host.context.run(() => claims.claim(key, options));
  }

  /**
   * What stands there now; or, with `since` a position that came with an earlier answer for the same scope, when there may be
   * something else, at the latest after `wait` milliseconds. Level-triggered: it may answer for nothing.
   */
  async query(scope: Scope, options: SyncQueryOptions = {}): Promise<QueryResult> {
    if (this.#workEnded) this.#assertRunning();
    return await this.#parts.queries.run(scope, options);
  }

  /**
   * What stands there: now, and again whenever it may have changed, looked at no more often than every 20 ms. Replays the last for its
   * subscribers, who share one look; completes when the manager stops; never errors.
   */
  watch(scope: Scope): Observable<readonly StoredRecord[]> {
    const { host, views, queries } = this.#parts;
    return views.observe(queries.scope(scope), WATCH_EVERY).pipe(
      filter(({ staleSince }) => staleSince === undefined),
      map(({ records }) => host.keyspace.told(records)),
      // What is replayed is the last that was seen, also while nothing can be seen.
      share({ connector: () => new ReplaySubject(1) }),
    );
  }

  /**
   * A manager with a session of its own over the same backend, with the options of this one but for these. It stops with this one,
   * before it.
   */
  fork(options: ForkOptions = {}): SyncManager {
    this.#assertRunning();
    const { options: own, stages } = this.#parts;
    const fork = new SyncManager(forkOptions(own, options));
    const forget = stages.add(() => fork.stop());
    fork.session$.subscribe({ complete: forget });
    return fork;
  }

  /**
   * Registers what is to be done before this manager gives back what it holds: the latest first, and all within three tenths of the
   * bound of `stop()`. Commits, queries and releases still work then; nothing new is granted. Returns what takes it back.
   */
  onStop(stage: StopStage, task: () => unknown): () => void {
    this.#assertRunning();
    if (stage !== 'before-release') throw invalid('stage', 'must be "before-release"');
    if (typeof task !== 'function') throw invalid('task', 'must be a function: onStop(stage, task)');
    return this.#parts.stages.add(task);
  }

  /** What this manager was given to log to, for what stands on it. */
  get logger(): Logger | undefined {
    return this.#parts.options.logger;
  }

  /** What the store can take, and how it is. */
  get traits(): BackendTraits {
    return this.#parts.host.backend.traits;
  }

  /** Time as this manager sees it. What stands on it should see no other, so that tests can move it. */
  get clock(): Clock {
    return this.#parts.options.clock;
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
    const { host, openCalls } = this.#parts;
    await new Connecting(host.keeper, host.clock, checked, openCalls).promise;
  }

  /** How the manager is at this moment, for readiness probes. Asks nobody, and never throws. */
  health(): SyncHealth {
    const { options, host, openCalls, locks, holders, events, tally } = this.#parts;
    return healthOf({
      running: this.#running,
      now: host.clock.now(),
      session: host.keeper.current,
      calls: openCalls.size,
      leader: locks.get(options.leadershipKey)?.held ?? false,
      blindSince: holders.blindSince,
      events,
      tally,
    });
  }

  /**
   * Ends every claim, grant and call at once (calls reject with `stopped`), then removes their records, closes the session and
   * disposes the backend. Idempotent; rejects for nothing but an invalid `timeout`.
   */
  async stop(options?: StopOptions): Promise<void> {
    const { timeout = STOP_BOUND } = checkCallOptions(options, STOP);
    this.#running = false;
    this.#stopped ??= this.#parts.host.context.run(() => this.#end(timeout));
    await this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #end(bound: number): Promise<void> {
    const workEnded = (): void => {
      this.#workEnded = true;
    };
    return end({ parts: this.#parts, leadership: this.#leadership, workEnded }, bound);
  }

  async #acquire(
    key: string,
    options: AcquireOptions | undefined,
    once: boolean,
  ): Promise<Grant | undefined> {
    const checked = this.#checkAcquire(options);
    const { options: own, queues, telemetry, scopedHost } = this.#parts;
    const metadata = checked.metadata ?? own.metadata;
    const queue = queues.of(key);
    if (!once) assertNotUnder(queue.holder);
    return telemetry.asking(key, once ? 'tryAcquire' : 'acquire', () =>
      acquireScoped(queue, checked, once, inPresentContext(metadata), scopedHost),
    );
  }

  /** Throws before any I/O, for bad metadata too. */
  #checkAcquire(options: AcquireOptions | undefined): AcquireOptions {
    this.#assertRunning();
    const checked: AcquireOptions = checkCallOptions(options, ACQUIRE);
    if (checked.maxHold !== undefined) checkDuration('maxHold', checked.maxHold);
    throwIfAborted(checked.signal);
    this.#parts.encode(checked.metadata ?? this.#parts.options.metadata);
    return checked;
  }

  #assertRunning(): void {
    if (!this.#running) {
      throw refused('stopped', `the manager "${this.name}" was stopped`);
    }
  }
}
