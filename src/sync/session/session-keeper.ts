import { AsyncResource } from 'node:async_hooks';
import type { Clock } from '../../async/clock.ts';
import { SettleOnce } from '../../async/settle-once.ts';
import { sleep } from '../../async/sleep.ts';
import type { Backend } from '../../contract/backend.ts';
import { OVER, SyncError } from '../../contract/errors.ts';
import { backoff, isLasting, retryDelay } from '../../contract/retry.ts';
import { bounded } from './bounded.ts';
import { instant, Session, type SessionEnd } from './session.ts';
import { scheduleFor, type Timing } from './timing.ts';
import { nextStep, type Told } from './upkeep.ts';

/** What `session$` tells. */
export type SessionState =
  /** Nobody has asked for a lock yet. */
  | { readonly name: 'idle' }
  | { readonly name: 'opening' }
  | { readonly name: 'live'; readonly id: string }
  /** Renewal is failing, or the machine may have slept; the deadline is not reached. */
  | { readonly name: 'suspended'; readonly id: string }
  | { readonly name: 'ended'; readonly id: string; readonly reason: SessionEnd }
  | { readonly name: 'stopped' };

export interface SessionListener {
  /** A session is there, or a suspected one was verified and is believed in again. */
  sessionLive(session: Session): void;
  /** It is in doubt, and being verified: the machine may have slept. */
  sessionDoubted?(session: Session): void;
  sessionEnded(session: Session, reason: SessionEnd): void;
  /** Opening or renewing failed; it is being tried again. */
  sessionTrouble(error: unknown): void;
}

/** Who is told what becomes of the session, before its listeners are. */
export interface SessionEvents {
  moved(state: SessionState): void;
  /** `took` milliseconds. */
  renewed(session: Session, took: number): void;
  /** Runs a change as one: what it causes is told when all of it is done. */
  together(change: () => void): void;
}

/** How long closing a session that nobody believes in any more may take, in milliseconds. The TTL ends it otherwise. */
const CLOSE_BOUND = 5_000;

/** Sessions that have ended. What stands in the name of an older one is not ours to remove. */
const MOST_REMEMBERED = 100;

/**
 * Keeps one session alive: open, renew, suspend, expire, reopen. The only place with TTL arithmetic.
 *
 * One loop owns it all, so that nothing here ever runs twice at a time. Every wait of the loop is bounded by the
 * session's deadline, and every call by less.
 */
export class SessionKeeper {
  readonly #name: string;
  readonly #backend: Backend;
  readonly #timing: Timing;
  readonly #clock: Clock;
  readonly #events: SessionEvents;
  readonly #background: (task: Promise<unknown>) => void;
  readonly #listeners = new Set<SessionListener>();
  /** In the context of who made the manager: a renewal is no part of the request that needed a lock first. */
  readonly #inContext = AsyncResource.bind(() => this.#run());
  /** The ids of sessions that have ended, the latest last. */
  readonly #ended = new Set<string>();
  /** Of sessions that are being opened or closed. */
  readonly #requests = new Set<AbortController>();
  #current: Session | undefined;
  #loop: Promise<void> | undefined;
  #told: Told = 'nothing';
  /** Told of a change: what the loop waits for may be over with it. */
  #wake: (() => void) | undefined;
  #impaired = false;
  #lastTrouble: unknown;

  constructor(
    name: string,
    backend: Backend,
    timing: Timing,
    clock: Clock,
    events: SessionEvents,
    background: (task: Promise<unknown>) => void,
  ) {
    this.#name = name;
    this.#backend = backend;
    this.#timing = timing;
    this.#clock = clock;
    this.#events = events;
    this.#background = background;
  }

  /** Whether it is one of the latest sessions that have ended here. */
  wasOurs(id: string): boolean {
    return this.#ended.has(id);
  }

  get current(): Session | undefined {
    return this.#current;
  }

  /** What went wrong last, until the session is live. */
  get trouble(): unknown {
    return this.#lastTrouble;
  }

  /** Whether there is no session although there was one, or what was last tried for it has failed. */
  get impaired(): boolean {
    return this.#impaired;
  }

  listen(listener: SessionListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** From the first call on there is a session, or one is being opened. */
  demand(): void {
    if (this.#stopping) return;
    this.#loop ??= this.#inContext();
  }

  /** Something of the session's has vanished: asks the server now whether the session is still there. */
  verify(session: Session): void {
    if (session === this.#current && this.#told === 'nothing') this.#tell('verify');
  }

  /** A commit was refused because the session is gone: no renewal needs to ask again. */
  reportGone(session: Session): void {
    if (session === this.#current && !this.#isOver) this.#tell('gone');
  }

  /** Nobody waits any longer for sessions to be opened or closed. */
  abandon(): void {
    for (const controller of this.#requests) controller.abort(OVER);
  }

  /** Ends the loop and closes the session. The keys must have been released before. */
  async stop(): Promise<void> {
    this.#tell('stop');
    await this.#loop;
    this.#events.moved({ name: 'stopped' });
  }

  #tell(told: Told): void {
    this.#told = told;
    this.#wake?.();
  }

  get #stopping(): boolean {
    return this.#told === 'stop';
  }

  /** No renewal is of any use. */
  get #isOver(): boolean {
    return this.#told === 'gone' || this.#told === 'stop';
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      this.#events.moved({ name: 'opening' });
      const opened = await this.#open();
      if (opened === undefined) return;
      const { session, openedAt } = opened;
      this.#current = session;
      if (!this.#stopping) this.#told = 'nothing';
      this.#live(session);
      const reason = await this.#keep(session, openedAt);
      session.end(reason);
      this.#remember(session.id);
      this.#current = undefined;
      this.#impaired = true;
      this.#events.together(() => {
        this.#events.moved({ name: 'ended', id: session.id, reason });
        for (const listener of [...this.#listeners]) listener.sessionEnded(session, reason);
      });
      const closing = reason === 'session-gone' ? undefined : this.#close(session.id);
      if (this.#stopping) await closing;
      else if (closing) this.#background(closing);
    }
  }

  #remember(id: string): void {
    this.#ended.add(id);
    const [oldest] = this.#ended;
    if (this.#ended.size > MOST_REMEMBERED && oldest !== undefined) this.#ended.delete(oldest);
  }

  async #open(): Promise<{ session: Session; openedAt: number } | undefined> {
    const { ttl, lockDelay } = this.#timing;
    for (let failures = 0; !this.#stopping; failures++) {
      const sent = instant(this.#clock);
      try {
        const granted = await this.#request(ttl, (signal) =>
          this.#backend.openSession({ name: this.#name, ttl, lockDelay }, signal),
        );
        const { margin } = scheduleFor(granted.ttl, this.#timing);
        const session = new Session(granted, sent, margin, this.#clock, () => this.#wake?.());
        if (this.#clock.now() < session.deadline) return { session, openedAt: sent.now };
        // The answer took longer than the session may be believed in.
        this.#background(this.#close(session.id));
        throw new SyncError(
          'unavailable',
          `opening a session took longer than the ${granted.ttl} ms it may be believed in`,
        );
      } catch (error) {
        if (this.#stopping) return undefined;
        this.#trouble(error);
        await this.#pause(retryDelay(error, failures, this.#clock.random()));
      }
    }
    return undefined;
  }

  async #keep(session: Session, openedAt: number): Promise<SessionEnd> {
    const { renewInterval } = scheduleFor(session.ttl, this.#timing);
    let due = openedAt + renewInterval;
    let failures = 0;
    for (;;) {
      const sent = instant(this.#clock);
      const { now } = sent;
      const { deadline, trusted } = session;
      const { abortOnDoubt } = this.#timing;
      const next = nextStep({ now, told: this.#told, deadline, trusted, abortOnDoubt, due, failures });
      if (next.do === 'end') return next.reason;
      if (!trusted) this.#doubted(session, failures);
      if (next.do === 'sleep') {
        await this.#pause(next.ms);
        continue;
      }
      if (this.#told === 'verify') this.#told = 'nothing';
      try {
        const answer = await this.#renew(session, Math.min(deadline - now, session.ttl / 3));
        if (answer === 'gone') return 'session-gone';
        if (this.#clock.now() >= session.deadline) return 'deadline';
        // A doubt may have come up while the answer was on its way.
        const doubted = session.suspect;
        if (!session.renewed(sent)) continue;
        this.#events.renewed(session, this.#clock.now() - now);
        due = now + renewInterval;
        if (failures > 0 || !trusted || doubted) this.#live(session);
        failures = 0;
      } catch (error) {
        if (this.#isOver) continue;
        failures++;
        if (failures === 1) this.#events.moved({ name: 'suspended', id: session.id });
        this.#trouble(error);
        due = this.#clock.now() + retryDelay(error, failures, this.#clock.random());
      }
    }
  }

  async #renew(session: Session, ms: number): Promise<'renewed' | 'gone'> {
    const controller = new AbortController();
    this.#wake = () => {
      if (this.#isOver) controller.abort(OVER);
    };
    try {
      return await bounded(this.#clock, ms, controller, (signal) =>
        this.#backend.renewSession(session.id, signal),
      );
    } finally {
      this.#wake = undefined;
    }
  }

  /** Best effort: ends early what the TTL would end, so that others need not wait for it. */
  async #close(id: string): Promise<void> {
    const bound = Math.min(CLOSE_BOUND, this.#timing.ttl);
    try {
      await this.#request(bound, (signal) => this.#closeUntil(id, signal));
    } catch {
      // Not to be had: the TTL has to do it.
    }
  }

  async #request<T>(ms: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    this.#requests.add(controller);
    try {
      return await bounded(this.#clock, ms, controller, call);
    } finally {
      this.#requests.delete(controller);
    }
  }

  async #closeUntil(id: string, signal: AbortSignal): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        await this.#backend.closeSession(id, signal);
        return;
      } catch (error) {
        if (signal.aborted || isLasting(error)) return;
        await sleep(this.#clock, backoff(failures, this.#clock.random()), signal);
      }
    }
  }

  #doubted(session: Session, failures: number): void {
    if (failures === 0) this.#events.moved({ name: 'suspended', id: session.id });
    for (const listener of [...this.#listeners]) listener.sessionDoubted?.(session);
  }

  #live(session: Session): void {
    this.#impaired = false;
    this.#lastTrouble = undefined;
    this.#events.moved({ name: 'live', id: session.id });
    for (const listener of [...this.#listeners]) listener.sessionLive(session);
  }

  #trouble(error: unknown): void {
    this.#impaired = true;
    this.#lastTrouble = error;
    for (const listener of [...this.#listeners]) listener.sessionTrouble(error);
  }

  /** Sleeps, but not through what it is told, or a doubt. */
  #pause(ms: number): Promise<void> {
    const over = new SettleOnce<void>();
    const wake = (): void => void over.resolve();
    this.#wake = wake;
    const unset = (): void => {
      this.#wake = undefined;
    };
    return over.after(this.#clock, ms, wake).finally(unset).promise;
  }
}
