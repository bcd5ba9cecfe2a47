import type { Observable } from 'rxjs';
import type { Clock } from '../../async/clock.ts';
import type { Notifications } from '../../async/notifications.ts';
import { throwIfAborted } from '../../async/sleep.ts';
import { SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { isLasting } from '../../contract/retry.ts';
import type { LockState, LossReason } from '../contender/lock-machine.ts';
import { CALL, type CallOptions, checkCallOptions } from './call-options.ts';
import type { CallTelemetry } from './call-telemetry.ts';
import type { Grant } from './grant.ts';
import type { LocalQueue } from './local-queue.ts';
import { type LockLoss, type LockStatus, LockStreams } from './lock-streams.ts';
import type { Metadata } from './metadata.ts';
import { PendingCall } from './pending-call.ts';
import type { Ticket, TicketNotice } from './ticket.ts';
import { assertNotUnder } from './work-context.ts';

/** Of all locks of a manager, so that nobody has to look at each. */
export interface LockTally {
  /** Calls that wait. */
  calls: number;
  /** Those with a standing claim. */
  claimed: number;
  /** Those of them with a grant, whether or not it can be believed in at the moment. */
  granted: number;
}

/** What a lock needs of its manager. */
export interface LockHost {
  readonly clock: Clock;
  readonly notifications: Notifications;
  report(error: unknown): void;
  /** The queue of this key, made anew if it was forgotten. Throws `stopped` after the manager was stopped. */
  queue(key: string): LocalQueue;
  /** With the manager's own metadata, unless there is some for this lock. */
  encode(metadata: Metadata | undefined): Uint8Array;
  /** Whether it is made anew at each attempt. */
  isMade(metadata: Metadata | undefined): boolean;
  readonly telemetry: CallTelemetry;
  readonly tally: LockTally;
  /** Even if nobody refers to it any more. While it is claimed or being released, its queue does. */
  keep(lock: Lock): void;
  letGo(lock: Lock): void;
}

interface Waiting {
  readonly call: PendingCall<Grant | undefined>;
  readonly once: boolean;
}

interface Claim {
  readonly ticket: Ticket;
  readonly queue: LocalQueue;
}

/**
 * A standing claim to one key. Once asked for, by `lock()` or `tryLock()`, it keeps acquiring and re-acquiring until
 * `release()`; a call that was aborted or timed out gives up the call, not the claim. There is one `Lock` for each
 * key and manager, and its callers share it: they do not exclude one another. For that, see `sync.acquire`.
 */
export class Lock {
  readonly key: string;
  readonly #host: LockHost;
  readonly #streams: LockStreams;
  readonly #calls = new Set<Waiting>();
  /** Made with the first listener: most locks have none, and there may be thousands. */
  #onGranted: Set<() => void> | undefined;
  #claim: Claim | undefined;
  #grant: Grant | undefined;
  #occupied = false;
  /** Not kept any longer: a promise keeps the asynchronous context of who made it. */
  #releasing: Promise<void> | undefined;
  /** @internal Told when a user gives the lock back. */
  onReleased: (() => void) | undefined;
  /** @internal Overrides the manager's, from the next attempt on. */
  metadata: Metadata | undefined;
  /** What the server said no with, until the next attempt. */
  #refusal: SyncError | undefined;

  /** @internal */
  constructor(key: string, host: LockHost) {
    this.key = key;
    this.#host = host;
    this.#streams = new LockStreams(host, () => this.#weigh());
  }

  /** Replays the current state. Completes when the manager stops. Never errors. */
  get state$(): Observable<LockStatus> {
    return this.#streams.state$;
  }

  /** Tells each loss of a held lock at once. Silent on `release()`. Completes when the manager stops. Never errors. */
  get lost$(): Observable<LockLoss> {
    return this.#streams.lost$;
  }

  /** Whether this process may believe, at this moment, that it holds the lock. */
  get held(): boolean {
    return this.grant !== undefined;
  }

  /** Whether it was asked for, and not given back since: it is held, or will be acquired when it can be had. */
  get claimed(): boolean {
    return this.#claim !== undefined;
  }

  /** The current grant, if the lock is held. */
  get grant(): Grant | undefined {
    return this.#grant?.held ? this.#grant : undefined;
  }

  /**
   * Blocks until the lock is held; returns at once if it already is.
   *
   * Rejects with the signal's reason, with a `SyncError` `timeout`, `stopped`, `deadlock` (inside the work of `withLock` of this key),
   * or `released` when `release()` is called meanwhile, and with what the server refuses (`permission-denied`, `foreign-record`, ...). While the server is not
   * reached it keeps trying.
   */
  async lock(options?: CallOptions): Promise<Grant> {
    const grant = await this.#ask(options, false);
    if (grant === undefined) throw this.#released();
    return grant;
  }

  /**
   * Like `lock()`, but resolves to `undefined` when the lock cannot be had now: another one holds it, the attempt under way fails,
   * the last one had failed, or there is no session any more. It waits for one attempt at most, which all calls share. The claim
   * stands nevertheless: the lock will be acquired when it can be had.
   */
  tryLock(options?: CallOptions): Promise<Grant | undefined> {
    return this.#ask(options, true);
  }

  /**
   * Ends the claim and gives the lock back. Idempotent, and never rejects. Resolves when nothing of it is left, or after a TTL: then
   * it goes on being removed, and at the latest the end of the session frees the lock. Calls still waiting reject with `released`.
   */
  release(): Promise<void> {
    return this.#host.notifications.during(() => {
      const claim = this.#claim;
      this.onReleased?.();
      this.#setClaim(undefined);
      this.#setGrant(undefined);
      this.#occupied = false;
      this.#refusal = undefined;
      if (this.#calls.size > 0) this.rejectCalls(this.#released());
      if (claim === undefined) return this.#releasing ?? Promise.resolve();
      this.#streams.publish({ name: 'releasing' });
      const releasing = claim.queue.leave(claim.ticket).then(() => {
        if (this.#releasing === releasing) this.#releasing = undefined;
        if (this.#claim === undefined) this.#streams.publish({ name: 'idle' });
      });
      this.#releasing = releasing;
      return releasing;
    });
  }

  /** @internal Told when there is a grant, and when one that was in doubt is believed in again. Returns what ends it. */
  onGranted(listener: () => void): () => void {
    const listeners = this.#onGranted ?? new Set();
    this.#onGranted = listeners.add(listener);
    this.#weigh();
    return () => {
      listeners.delete(listener);
      this.#weigh();
    };
  }

  /** @internal The manager is stopping: nobody waits any longer. */
  rejectCalls(error: SyncError): void {
    this.#settle(({ call }) => call.reject(error));
  }

  /** @internal */
  complete(): void {
    this.#streams.complete();
  }

  async #ask(options: CallOptions | undefined, once: boolean): Promise<Grant | undefined> {
    const checked = checkCallOptions(options, CALL);
    throwIfAborted(checked.signal);
    const queue = this.#host.queue(this.key);
    return this.#host.telemetry.asking(this.key, once ? 'tryLock' : 'lock', () =>
      this.#enter(queue, checked, once),
    );
  }

  #enter(
    queue: LocalQueue,
    options: CallOptions,
    once: boolean,
  ): Promise<Grant | undefined> | Grant | undefined {
    return this.#host.notifications.during(() => {
      if (!once && this.grant === undefined) assertNotUnder(queue.holder);
      if (this.#claim === undefined) this.#begin(queue);
      const { grant } = this;
      if (grant !== undefined) return grant;
      if (this.#refusal !== undefined) throw this.#refusal;
      if (once && (this.#occupied || queue.failing)) return undefined;
      const call = new PendingCall<Grant | undefined>(this.#host.clock, options, queue);
      const entry = { call, once };
      call.finally(() => this.#forget(entry));
      this.#calls.add(entry);
      this.#host.tally.calls += 1;
      return call.promise;
    });
  }

  /** Bad metadata is told to the caller who asks, before any I/O. What a function gives may be right later: its claim stands. */
  #begin(queue: LocalQueue): void {
    try {
      this.#host.encode(this.metadata);
    } catch (error) {
      if (this.#host.isMade(this.metadata)) this.#stand(queue);
      else queue.notEntered();
      throw error;
    }
    this.#stand(queue);
  }

  #stand(queue: LocalQueue): void {
    const streams = this.#streams;
    const ticket: Ticket = {
      standing: true,
      get heard() {
        return streams.lossesHeard;
      },
      value: () => this.#host.encode(this.metadata),
      notice: (notice) => this.#notice(notice),
      release: () => this.release(),
    };
    this.#setClaim({ ticket, queue });
    queue.enter(ticket);
  }

  #notice(notice: TicketNotice): void {
    switch (notice.tell) {
      case 'moved':
        this.#moved(notice.state);
        return;
      case 'granted':
        this.#granted(notice.grant);
        return;
      case 'doubted':
        if (this.#grant) this.#streams.publish({ name: 'suspended', token: this.#grant.token });
        return;
      case 'lost':
        this.#lost(notice.reason);
        return;
      case 'occupied':
        this.#occupied = true;
        this.#streams.publish({ name: 'waiting' });
        this.#notNow();
        return;
      case 'refused':
        this.#refused(notice.error);
        return;
      case 'failed':
        if (isLasting(notice.error)) this.#refused(notice.error);
        else this.#notNow();
    }
  }

  #refused(error: SyncError): void {
    this.#refusal = error;
    this.rejectCalls(error);
  }

  #notNow(): void {
    this.#settle((entry) => entry.once && entry.call.resolve(undefined));
  }

  #granted(grant: Grant): void {
    this.#setGrant(grant);
    this.#occupied = false;
    this.#streams.publish({ name: 'held', token: grant.token });
    if (grant.held) this.#settle((entry) => entry.call.resolve(grant));
    for (const listener of this.#onGranted ?? []) this.#host.notifications.post(listener);
  }

  #lost(reason: LossReason): void {
    const grant = this.#grant;
    this.#setGrant(undefined);
    if (grant !== undefined) this.#streams.lost({ key: this.key, reason, token: grant.token });
  }

  #moved(state: LockState): void {
    // What `held` shows needs the grant: told by `#granted`.
    if (state.name === 'held') return;
    if (state.name === 'seeking') {
      this.#occupied = false;
      this.#refusal = undefined;
    }
    if (state.name === 'lost') this.#streams.publish({ name: 'lost', reason: state.reason });
    // What is removed now is not this claim, which waits for it.
    else this.#streams.publish({ name: state.name === 'releasing' ? 'waiting' : state.name });
  }

  #setClaim(claim: Claim | undefined): void {
    const { tally } = this.#host;
    tally.claimed += Number(claim !== undefined) - Number(this.#claim !== undefined);
    this.#claim = claim;
  }

  #setGrant(grant: Grant | undefined): void {
    const { tally } = this.#host;
    tally.granted += Number(grant !== undefined) - Number(this.#grant !== undefined);
    this.#grant = grant;
  }

  /** Who only listens refers to what it listens to, and not to the lock. */
  #weigh(): void {
    if (this.#streams.observed || this.#onGranted?.size) this.#host.keep(this);
    else this.#host.letGo(this);
  }

  #settle(settle: (entry: Waiting) => unknown): void {
    for (const entry of [...this.#calls]) settle(entry);
  }

  #forget(entry: Waiting): void {
    if (this.#calls.delete(entry)) this.#host.tally.calls -= 1;
  }

  #released(): SyncError {
    return new SyncError('released', `the lock ${quoteKey(this.key)} was released`);
  }
}
