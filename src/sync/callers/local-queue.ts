import type { Clock, Timer } from '../../async/clock.ts';
import { Line } from '../../async/line.ts';
import type { Notifications } from '../../async/notifications.ts';
import { SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { isLasting } from '../../contract/retry.ts';
import { Contender } from '../contender/contender.ts';
import type { ContenderHost } from '../contender/contender-host.ts';
import type { ContenderListener } from '../contender/contender-listener.ts';
import type { LockState, LossReason } from '../contender/lock-machine.ts';
import type { Holding } from '../contender/strategy.ts';
import type { Session } from '../session/session.ts';
import type { SessionKeeper } from '../session/session-keeper.ts';
import { Grant } from './grant.ts';
import type { Proofs } from './proofs.ts';
import type { HandOffLimits, QueueEvents, Ticket } from './ticket.ts';

/**
 * Where everyone goes for one record, who gives it back and takes it again at once leaves nobody else a chance. After a
 * row of hand-offs the next try waits for so many milliseconds: enough for others to hear of it and be first.
 */
const YIELD = 10;

/**
 * The callers of one key in this process, first come first served. They share one distributed contender, whose
 * place in line passes to the next caller when one gives up; only the one at the head can hold. What it holds passes
 * to the next caller without a round trip, within limits (lock cohorting: Dice, Marathe and Shavit, PPoPP 2012).
 */
export class LocalQueue implements ContenderListener {
  readonly key: string;
  readonly #contender: Contender;
  readonly #notifications: Notifications;
  readonly #proofs: Proofs;
  readonly #clock: Clock;
  readonly #keeper: SessionKeeper;
  readonly #races: boolean;
  readonly #limits: HandOffLimits;
  readonly #events: QueueEvents;
  readonly #onIdle: () => void;
  readonly #tickets = new Line<Ticket>();
  readonly #awaitingRelease: { readonly resolve: () => void; readonly impatient: boolean }[] = [];
  /** On their way under the grant that was given back last. */
  #writes: Promise<unknown> | undefined;
  /** What is known of the contender's place, for who takes it over. */
  #lastNotice: 'occupied' | SyncError | undefined;
  #trouble: unknown;
  /** Whether the last attempt failed. */
  #failed = false;
  #current: Grant | undefined;
  /** The last grant of the holding that stands, or that is not known to be gone; and the TTL of its session. */
  #latest: { readonly grant: Grant; readonly ttl: number } | undefined;
  /** The grant that was given back and may be handed on. */
  #handedBack: Grant | undefined;
  #yielding: Timer | undefined;
  /** Of the grant that is held, if it has a bound. */
  #expiry: Timer | undefined;
  #heldSince = 0;
  #grantedAt = 0;
  #handOffs = 0;

  constructor(
    host: ContenderHost,
    proofs: Proofs,
    key: string,
    path: string,
    limits: HandOffLimits,
    events: QueueEvents,
    onIdle: () => void,
  ) {
    this.key = key;
    this.#contender = new Contender(host, key, path, this);
    this.#notifications = host.notifications;
    this.#proofs = proofs;
    this.#clock = host.clock;
    this.#keeper = host.keeper;
    this.#races = host.backend.traits.contention === 'race';
    this.#limits = limits;
    this.#events = events;
    this.#onIdle = onIdle;
  }

  get empty(): boolean {
    return this.#tickets.length === 0 && this.#contender.disposable;
  }

  enter(ticket: Ticket): void {
    this.#notifications.during(() => {
      this.#tickets.push(ticket);
      if (this.#tickets.first === ticket) {
        this.#contender.claim();
        this.#tellIfFailing(ticket);
      } else {
        this.#contender.watchHeld();
        ticket.occupied();
        if (this.#lastNotice instanceof SyncError) ticket.refused(this.#lastNotice);
      }
    });
  }

  /** The grant that is held here at the moment. */
  get holder(): Grant | undefined {
    return this.#current;
  }

  /** A scoped grant that is held, and since when, in monotonic milliseconds. */
  get scoped(): { readonly grant: Grant; readonly since: number } | undefined {
    const grant = this.#current;
    if (grant === undefined || this.#tickets.first?.standing !== false) return undefined;
    return { grant, since: this.#grantedAt };
  }

  get aim(): string {
    return `the lock ${quoteKey(this.key)} was not acquired`;
  }

  /** What went wrong last, until it is held. */
  get trouble(): unknown {
    return this.#trouble;
  }

  /** Whether the last try failed, or there is no session to try with. */
  get failing(): boolean {
    return this.#failed || this.#keeper.impaired;
  }

  #tellIfFailing(ticket: Ticket): void {
    if (this.failing) ticket.failing(this.#keeper.trouble);
  }

  /**
   * Gives up a place or a grant. Resolves when nothing of it is left, at the latest with the session or after its TTL; then it goes
   * on in the background.
   *
   * @param impatient resolve as soon as a request fails, or if the last one has failed already.
   */
  leave(ticket: Ticket, impatient = false): Promise<void> {
    return this.#notifications.during(() => {
      const wasFirst = this.#tickets.first === ticket;
      if (!this.#tickets.delete(ticket)) return ticket.left ?? Promise.resolve();
      return wasFirst ? this.#leaveHead(ticket, impatient) : Promise.resolve();
    });
  }

  #leaveHead(ticket: Ticket, impatient: boolean): Promise<void> {
    const current = this.#current;
    if (current === undefined) {
      if (this.#tickets.length === 0) return this.#giveUp(ticket, impatient);
      this.#inherit();
      return Promise.resolve();
    }
    this.#takeCurrent();
    current.end('released');
    this.#notifications.post(() => current.announce());
    this.#events.released(current);
    this.#writes = current.pendingWrites;
    this.#handedBack = current;
    return this.#giveUp(ticket, impatient);
  }

  /** The next in line takes over the contender's place, and is told what was told of it. */
  #inherit(): void {
    const head = this.#tickets.first;
    if (head === undefined) return;
    head.moved(this.#contender.state);
    if (this.#lastNotice === 'occupied') head.occupied();
    else this.#tellIfFailing(head);
  }

  /** Takes back what this one holds, as if it were lost. It is not handed on: who had it may not know yet. */
  #expire(ticket: Ticket): void {
    this.#notifications.during(() => {
      if (this.#tickets.first !== ticket) return;
      const grant = this.#endCurrent('max-hold');
      if (grant === undefined) return;
      this.#endHolding();
      this.#events.lost(grant, 'max-hold', false);
      ticket.lost('max-hold', grant);
      this.#tickets.delete(ticket);
      this.#release();
    });
  }

  /** Everybody leaves. Resolves when nothing is left at the store. */
  async drain(): Promise<void> {
    // The head last, so that nothing is handed on to somebody who leaves as well.
    await Promise.all(this.#tickets.reversed().map((ticket) => this.leave(ticket)));
    if (this.#contender.state.name !== 'idle') await this.#notifications.during(() => this.#giveUp());
  }

  stop(): void {
    this.#yielding?.cancel();
    this.#notifications.during(() => {
      this.#endCurrent('stopped');
      this.#contender.stop();
    });
  }

  /** Gives the contender's place or grant back; but a grant's own writes must reach the store before. */
  #giveUp(ticket?: Ticket, impatient = false): Promise<void> {
    this.#yielding?.cancel();
    const released = new Promise<void>((done) => {
      const resolve = (): void => {
        // Not kept: a promise keeps the asynchronous context of who made it.
        if (ticket !== undefined) ticket.left = undefined;
        done();
      };
      this.#awaitingRelease.push({ resolve, impatient });
    });
    if (ticket !== undefined) ticket.left = released;
    const writes = this.#writes;
    if (writes === undefined) this.#release();
    else {
      writes.then(() =>
        this.#notifications.during(() => {
          if (this.#writes !== writes) return;
          this.#writes = undefined;
          this.#release();
        }),
      );
    }
    if (this.failing) this.#hurry();
    return released;
  }

  /** Who is impatient waits no longer, and is not kept: in an outage there may be one more with each try. */
  #hurry(): void {
    for (const waiting of this.#awaitingRelease.splice(0)) {
      if (waiting.impatient) waiting.resolve();
      else this.#awaitingRelease.push(waiting);
    }
  }

  #release(): void {
    const handedBack = this.#handedBack;
    this.#handedBack = undefined;
    if (handedBack !== undefined && this.#handOn(handedBack)) {
      this.#nothingLeft();
      return;
    }
    this.#contender.release();
    if (this.#tickets.length === 0) return;
    if (this.#races && this.#handOffs > 0) {
      this.#yielding = this.#clock.after(YIELD, () => this.#tickets.length > 0 && this.#contender.claim());
    } else this.#contender.claim();
  }

  /** Whether the next in line has got what was given back. */
  #handOn(from: Grant): boolean {
    const { state } = this.#contender;
    const { limit, within } = this.#limits;
    if (this.#tickets.length === 0 || this.#handOffs >= limit) return false;
    if (this.#clock.now() - this.#heldSince >= within) return false;
    // A write of the one before, still on its way, would pass for one of the next: the store sees the same record.
    if (from.unsure) return false;
    if (state.name !== 'held' || !state.session.trusted) return false;
    this.#handOffs += 1;
    this.#grant(state.session, state.holding);
    return true;
  }

  value(): Uint8Array {
    return this.#tickets.first?.value() ?? new Uint8Array();
  }

  get crowded(): boolean {
    return this.#tickets.length > 1;
  }

  moved(state: LockState): void {
    if (state.name === 'seeking') this.#lastNotice = undefined;
    else if (state.name === 'idle') this.#failed = false;
    const head = this.#tickets.first;
    head?.moved(state);
    if (head !== undefined && state.name === 'seeking' && state.session === undefined)
      this.#tellIfFailing(head);
  }

  granted(session: Session, holding: Holding): void {
    this.#lastNotice = undefined;
    this.#trouble = undefined;
    this.#failed = false;
    this.#heldSince = this.#clock.now();
    this.#handOffs = 0;
    this.#grant(session, holding);
  }

  #grant(session: Session, holding: Holding): void {
    const head = this.#tickets.first;
    if (head === undefined) {
      this.#contender.release();
      return;
    }
    const grant: Grant = new Grant(this.key, session, holding, this.#handOffs, () =>
      this.#giveBack(grant, head),
    );
    this.#current = grant;
    this.#grantedAt = this.#clock.now();
    const { maxHold } = head;
    if (maxHold !== undefined) this.#expiry = this.#clock.after(maxHold, () => this.#expire(head));
    this.#latest = { grant, ttl: session.ttl };
    this.#proofs.granted(grant);
    this.#events.granted(grant);
    head.granted(grant);
  }

  doubted(): void {
    if (this.#current !== undefined) this.#tickets.first?.doubted(this.#current);
  }

  reconfirmed(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#tickets.first?.granted(current);
    this.#notifications.post(() => current.reconfirmed());
  }

  lost(reason: LossReason): void {
    const grant = this.#endCurrent(reason);
    this.#endHolding();
    // Writes under a grant that is lost are refused by the store; nothing has to wait for them.
    this.#writes = undefined;
    this.#handedBack = undefined;
    this.#nothingLeft();
    const head = this.#tickets.first;
    if (grant !== undefined && head !== undefined) {
      this.#events.lost(grant, reason, head.heard === true);
      head.lost(reason, grant);
      if (!head.standing) this.#tickets.delete(head);
    }
    if (this.#tickets.length === 0) this.#contender.release();
  }

  occupied(): void {
    this.#lastNotice = 'occupied';
    this.#failed = false;
    this.#tickets.first?.occupied();
  }

  /** Everybody who waits would be refused as well. */
  refused(error: SyncError): void {
    this.#lastNotice = error;
    for (const ticket of this.#tickets.reversed()) ticket.refused(error);
  }

  failed(error: unknown, source: 'session' | 'lock'): void {
    if (source === 'lock') {
      // What is refused is known, and is told as such.
      this.#failed = !isLasting(error);
      this.#events.trouble(error, this.key);
    }
    this.#trouble = error;
    this.#tickets.first?.failing(error);
    this.#hurry();
  }

  removed(holding: Holding): void {
    this.#proofs.removed(holding);
  }

  released(): void {
    // Refused, it goes on being removed.
    if (this.#contender.state.name !== 'releasing') this.#endHolding();
    this.#nothingLeft();
    if (this.#tickets.length === 0) this.#onIdle();
  }

  #nothingLeft(): void {
    for (const { resolve } of this.#awaitingRelease.splice(0)) resolve();
  }

  #endHolding(): void {
    if (this.#latest !== undefined) this.#proofs.ended(this.#latest.grant, this.#latest.ttl);
    this.#latest = undefined;
  }

  #endCurrent(why: LossReason): Grant | undefined {
    const grant = this.#takeCurrent();
    if (grant) {
      grant.end(why);
      this.#notifications.postUrgent(() => grant.announce());
    }
    return grant;
  }

  #takeCurrent(): Grant | undefined {
    this.#expiry?.cancel();
    this.#expiry = undefined;
    const grant = this.#current;
    this.#current = undefined;
    return grant;
  }

  #giveBack(grant: Grant, ticket: Ticket): Promise<void> {
    if (this.#current === grant) return ticket.release?.() ?? this.leave(ticket);
    // Given back before: there may be something to wait for. After a loss there is nothing.
    return (grant.ended === 'released' ? ticket.left : undefined) ?? Promise.resolve();
  }
}
