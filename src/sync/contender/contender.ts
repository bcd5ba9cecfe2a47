import { sleep } from '../../async/sleep.ts';
import { afterLasting, isLasting, retryDelay } from '../../contract/retry.ts';
import type { Session, SessionEnd } from '../session/session.ts';
import type { SessionListener } from '../session/session-keeper.ts';
import { type ContenderHost, UNWATCHED_CROWDED } from './contender-host.ts';
import { Leftovers } from './leftovers.ts';
import { type LockEvent, type LockState, type Notice, type Step, step } from './lock-machine.ts';
import { OngoingAttempt } from './ongoing-attempt.ts';
import { queue } from './queue.ts';
import { race } from './race.ts';
import { RecordWatch, type RecordWatchListener } from './record-watch.ts';
import { StateWork } from './state-work.ts';
import type { Attempt, Contention, Holding, LockContext, RecordLoss } from './strategy.ts';

/** Whoever wants the lock of a contender. */
export interface ContenderListener {
  /** The record's value, asked for at each attempt. May throw a `SyncError`. */
  value(): Uint8Array;
  /** Whether somebody waits behind whoever has just been granted it. */
  readonly crowded: boolean;
  notice(notice: Notice): void;
}

/**
 * The one distributed contender of this process for one key: runs the lock machine, and does for each state the work
 * that the state calls for.
 */
export class Contender implements SessionListener, RecordWatchListener {
  readonly #host: ContenderHost;
  readonly #key: string;
  readonly #path: string;
  readonly #contention: Contention;
  readonly #listener: ContenderListener;
  #state: LockState = { name: 'idle' };
  #wanted = false;
  readonly #work: StateWork;
  #attempt: OngoingAttempt | undefined;
  readonly #leftovers: Leftovers;
  #unlisten: (() => void) | undefined;
  /** The session under which anything was asked of the store last. */
  #askedUnder: Session | undefined;

  constructor(
    host: ContenderHost,
    key: string,
    path: string,
    listener: ContenderListener,
    contention: Contention = host.backend.traits.contention === 'queue' ? queue : race,
  ) {
    this.#host = host;
    this.#key = key;
    this.#path = path;
    this.#contention = contention;
    this.#listener = listener;
    this.#work = new StateWork(host.controllers);
    this.#leftovers = new Leftovers(host);
  }

  get state(): LockState {
    return this.#state;
  }

  /** Nothing wanted, nothing at the store, nothing to look after: it can be forgotten. */
  get disposable(): boolean {
    return this.#state.name === 'idle' && !this.#leftovers.possible;
  }

  claim(): void {
    this.#wanted = true;
    this.#unlisten ??= this.#host.keeper.listen(this);
    this.#host.keeper.demand();
    this.#post({ type: 'claim', session: this.#host.keeper.current });
  }

  /** Ends in the notice `released`, at once or later. */
  release(): void {
    this.#wanted = false;
    this.#post({ type: 'release' });
  }

  stop(): void {
    this.#wanted = false;
    this.#post({ type: 'stop' });
  }

  /** Somebody waits for what is held: from now on its record is watched, so that none is handed on that is gone. */
  watchHeld(): void {
    const state = this.#state;
    if (state.name === 'held' && !(this.#work.beside instanceof RecordWatch)) this.#watch(state);
  }

  sessionLive(session: Session): void {
    if (this.#state.name === 'held' && this.#state.session === session)
      this.#listener.notice({ tell: 'reconfirmed' });
    else this.#post({ type: 'session-live', session });
  }

  sessionDoubted(session: Session): void {
    if (this.#state.name === 'held' && this.#state.session === session)
      this.#listener.notice({ tell: 'doubted' });
  }

  sessionEnded(session: Session, reason: SessionEnd): void {
    this.#post({ type: 'session-ended', session, reason });
  }

  sessionTrouble(error: unknown): void {
    const state = this.#state;
    if (state.name === 'seeking' && state.session === undefined) this.#trouble(error, 'session');
    else if (state.name === 'held') this.#listener.notice({ tell: 'failed', error, source: 'session' });
  }

  recordLost(reason: RecordLoss): void {
    const state = this.#state;
    if (state.name !== 'held') return;
    this.#finish({ type: 'observed', of: state, reason });
    // Most often it is the session that is gone. Asking now spares an attempt with a dead one.
    if (reason === 'record-gone') this.#host.keeper.verify(state.session);
  }

  recordTrouble(error: unknown): void {
    this.#listener.notice({ tell: 'failed', error, source: 'lock' });
  }

  #post(event: LockEvent): void {
    this.#host.notifications.during(() => this.#step(event));
  }

  #step(event: LockEvent): void {
    const before = this.#state;
    const { state, notices } = step(before, event, this.#wanted);
    this.#state = state;
    if (state !== before) {
      this.#work.cut();
      this.#listener.notice({ tell: 'moved', state });
    }
    for (const notice of notices) this.#tell(notice);
    // A listener may have moved the machine on: then that call has started what there is to do.
    if (state !== before && this.#state === state) this.#begin(state);
  }

  #tell(notice: Step['notices'][number]): void {
    if (notice.tell === 'session-gone') this.#host.keeper.reportGone(notice.session);
    else if (notice.tell === 'refused') this.#trouble(notice.error, 'lock');
    else this.#listener.notice(notice);
  }

  #begin(state: LockState): void {
    const { context, patience } = this.#host;
    switch (state.name) {
      case 'idle':
        if (this.#leftovers.possible)
          context.run(() => this.#run(state, (signal) => this.#sweep(state, signal)));
        else this.#forgetSessions();
        return;
      case 'seeking':
        context.run(() => this.#beginSeeking(state));
        return;
      case 'waiting':
        context.run(() => this.#run(state, (signal) => this.#wait(state, signal)));
        return;
      case 'held':
        this.#watchLater(state);
        return;
      case 'lost':
        this.#beginLost(state);
        return;
      case 'releasing':
        // It goes on being tried, but nobody has to wait for it any longer.
        this.#work.beside = patience.after(() => this.#post({ type: 'failed', of: state, pause: 0 }));
        context.run(() => this.#run(state, (signal) => this.#remove(state, signal)));
        return;
      case 'stopped':
        this.#attempt?.cut();
        this.#forgetSessions();
    }
  }

  #watchLater(state: Extract<LockState, { name: 'held' }>): void {
    const watch = (): void => this.#watch(state);
    const { clock, context, unwatched } = this.#host;
    this.#work.beside = this.#listener.crowded
      ? context.run(() => clock.after(UNWATCHED_CROWDED, watch))
      : unwatched.after(watch);
  }

  #watch(state: Extract<LockState, { name: 'held' }>): void {
    this.#work.beside?.cancel();
    const { context } = this.#host;
    this.#work.beside = context.run(() => new RecordWatch(this.#host, state.session, state.holding, this));
  }

  /** One place owns the promises: a rejection is either stale or an event. */
  #run(state: LockState, work: (signal: AbortSignal) => Promise<void>): void {
    this.#own(state, work(this.#work.begin()));
  }

  #own(state: LockState, work: Promise<void>): void {
    this.#host.background(
      work.catch((error: unknown) => {
        if (this.#state !== state) return;
        const failures = 'failures' in state ? state.failures : 0;
        const pause = retryDelay(error, failures, this.#host.clock.random());
        this.#trouble(error, 'lock');
        this.#finish({ type: 'failed', of: state, pause });
      }),
    );
  }

  /** What the work for a state has come to. It has nothing left then that could be cut off. */
  #finish(event: Extract<LockEvent, { of: LockState }>): void {
    if (event.of === this.#state) this.#work.done();
    this.#post(event);
  }

  #beginLost(state: Extract<LockState, { name: 'lost' }>): void {
    const { clock, notifications } = this.#host;
    const resume = (): void => this.#post({ type: 'resume', of: state });
    // After everybody has been told: a loss is always seen before the next attempt.
    const isUnknown = state.reason === 'permission-denied' || state.reason === 'record-unreadable';
    if (!isUnknown) notifications.post(resume);
    // The server has just said no, or nothing: what comes next waits its turn.
    else this.#work.beside = clock.after(afterLasting(clock.random()), resume);
  }

  #beginSeeking(state: Extract<LockState, { name: 'seeking' }>): void {
    const { session } = state;
    if (session !== undefined) {
      this.#own(state, this.#seek(state, session));
      return;
    }
    // One may have become live between the claim and now.
    const { current } = this.#host.keeper;
    if (current !== undefined) this.#post({ type: 'session-live', session: current });
  }

  async #seek(state: Extract<LockState, { name: 'seeking' }>, session: Session): Promise<void> {
    // Begun only once it is known to be under way: the metadata it asks for may give up this very claim.
    await this.#attempt?.settled(this.#host.clock);
    if (this.#state !== state) return;
    const { controllers, turns } = this.#host;
    // Whoever is in line already keeps others waiting, and goes first.
    if (!turns.tryEnter()) await turns.come(state.place !== undefined);
    // Who gives up before anything was sent is unsure of nothing.
    if (this.#state !== state) {
      turns.leave();
      return;
    }
    this.#askedUnder = session;
    // Not the work's own signal: an attempt is not cut off by a release, which would make its outcome unknown.
    const attempt = new OngoingAttempt(controllers);
    this.#attempt = attempt;
    let result: Attempt;
    try {
      result = await this.#contention.attempt(this.#lock(session), state.place, attempt.signal);
    } catch (error) {
      this.#leftovers.failed(session, error);
      throw error;
    } finally {
      turns.leave();
      if (this.#attempt === attempt) this.#attempt = undefined;
      attempt.end();
    }
    this.#finish({ type: 'attempted', of: state, result, trusted: session.trusted });
  }

  async #wait(state: Extract<LockState, { name: 'waiting' }>, signal: AbortSignal): Promise<void> {
    let { place } = state;
    if (state.pause !== undefined) await sleep(this.#host.clock, state.pause, signal);
    else if (place) place = await this.#contention.wait(this.#lock(state.session), place, signal);
    this.#finish({ type: 'woke', of: state, place });
  }

  async #remove(state: Extract<LockState, { name: 'releasing' }>, signal: AbortSignal): Promise<void> {
    const { clock, removals } = this.#host;
    // Whoever gives up while it waits for its turn has left nothing there.
    if (state.session !== this.#askedUnder) {
      this.#finish({ type: 'removed', of: state });
      return;
    }
    if (this.#attempt !== undefined) await this.#attempt.settled(clock);
    for (let failures = 0; this.#state === state; failures++) {
      try {
        const lock = this.#lock(state.session);
        await removals.run(signal, () => this.#removeInTurn(lock, state.holding, signal));
        if (signal.aborted) return;
        if (state.holding !== undefined) this.#listener.notice({ tell: 'removed', holding: state.holding });
        this.#finish({ type: 'removed', of: state });
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#trouble(error, 'lock');
        if (isLasting(error)) this.#post({ type: 'failed', of: state, pause: 0 });
        await sleep(clock, retryDelay(error, failures, clock.random()), signal);
      }
    }
  }

  async #removeInTurn(lock: LockContext, holding: Holding | undefined, signal: AbortSignal): Promise<void> {
    const { turns } = this.#host;
    if (!turns.tryEnter()) await turns.come(true);
    try {
      await this.#contention.remove(lock, holding, signal);
    } finally {
      turns.leave();
    }
  }

  async #sweep(state: LockState, signal: AbortSignal): Promise<void> {
    const record = ({ id }: Session): string => this.#contention.record(this.#path, id);
    const session = await this.#leftovers.find(record, signal);
    if (this.#state !== state) return;
    if (session !== undefined) {
      this.#finish({ type: 'leftover', of: state, session });
      return;
    }
    this.#work.done();
    this.#forgetSessions();
    // Nothing is left to look after: the owner may forget this contender.
    this.#listener.notice({ tell: 'released' });
  }

  #trouble(error: unknown, source: 'session' | 'lock'): void {
    this.#host.notifications.during(() => {
      // First what is certain: who asked only once is not told that nobody knows.
      if (isLasting(error)) this.#listener.notice({ tell: 'refused', error });
      this.#listener.notice({ tell: 'failed', error, source });
    });
  }

  #forgetSessions(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  #lock(session: Session): LockContext {
    return {
      backend: this.#host.backend,
      key: this.#key,
      path: this.#path,
      session: session.id,
      wait: session.ttl,
      value: () => this.#listener.value(),
      wasOurs: (id) => this.#host.keeper.wasOurs(id),
    };
  }
}
