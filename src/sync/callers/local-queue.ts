import { Line } from '../../async/line.ts';
import { quoteKey } from '../../contract/quote.ts';
import { isLasting } from '../../contract/retry.ts';
import { Contender, type ContenderListener } from '../contender/contender.ts';
import type { ContenderHost } from '../contender/contender-host.ts';
import type { LossReason, Notice } from '../contender/lock-machine.ts';
import { Departures } from './departures.ts';
import { Grant } from './grant.ts';
import { afterTurn, type HandOffLimits, type Next, type Tenure, type Turn } from './hand-off.ts';
import type { Proofs } from './proofs.ts';
import type { QueueEvents, Ticket, Told } from './ticket.ts';

/** Milliseconds that a queue yields: enough for others to hear of it and be first. */
const YIELD = 10;

const NOBODY: Turn = { name: 'nobody' };
const OCCUPIED = { tell: 'occupied' } as const;

/**
 * The callers of one key in this process, first come first served. They share one distributed contender, whose
 * place in line passes to the next caller when one gives up; only the one at the head can hold. What it holds passes
 * to the next caller without a round trip, within limits (lock cohorting: Dice, Marathe and Shavit, PPoPP 2012).
 */
export class LocalQueue implements ContenderListener {
  readonly key: string;
  readonly #contender: Contender;
  readonly #host: ContenderHost;
  readonly #proofs: Proofs;
  readonly #limits: HandOffLimits;
  readonly #events: QueueEvents;
  readonly #onIdle: () => void;
  readonly #tickets = new Line<Ticket>();
  readonly #departures = new Departures();
  #turn = NOBODY;
  #tenure: Tenure | undefined;
  /** What is known of the contender's place, for who takes it over. */
  #place: Told<'occupied' | 'refused'> | undefined;
  #trouble: unknown;
  /** Whether the last attempt failed. */
  #failed = false;

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
    this.#host = host;
    this.#proofs = proofs;
    this.#limits = limits;
    this.#events = events;
    this.#onIdle = onIdle;
  }

  /** It was made for somebody who has not entered it after all. */
  notEntered(): void {
    this.#onIdle();
  }

  get empty(): boolean {
    return this.#tickets.length === 0 && this.#contender.disposable;
  }

  enter(ticket: Ticket): void {
    this.#host.notifications.during(() => {
      this.#tickets.push(ticket);
      if (this.#tickets.first === ticket) {
        this.#contender.claim();
        this.#tellIfFailing(ticket);
      } else {
        this.#contender.watchHeld();
        ticket.notice(OCCUPIED);
        if (this.#place?.tell === 'refused') ticket.notice(this.#place);
      }
    });
  }

  /** The grant that is held here at the moment. */
  get holder(): Grant | undefined {
    return this.#turn.name === 'holder' ? this.#turn.grant : undefined;
  }

  /** A scoped grant that is held, and since when, in monotonic milliseconds. */
  get scoped(): { readonly grant: Grant; readonly since: number } | undefined {
    return this.#turn.name === 'holder' && this.#tickets.first?.standing === false ? this.#turn : undefined;
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
    return this.#failed || this.#host.keeper.impaired;
  }

  #tellIfFailing(ticket: Ticket): void {
    if (this.failing) ticket.notice({ tell: 'failed', error: this.#host.keeper.trouble, source: 'session' });
  }

  /**
   * Gives up a place or a grant. Resolves when nothing of it is left, at the latest with the session or after its TTL; then it goes
   * on in the background.
   *
   * @param impatient resolve as soon as a request fails, or if the last one has failed already.
   */
  leave(ticket: Ticket, impatient = false): Promise<void> {
    return this.#host.notifications.during(() => {
      const wasFirst = this.#tickets.first === ticket;
      if (!this.#tickets.delete(ticket)) return ticket.left ?? Promise.resolve();
      return wasFirst ? this.#leaveHead(ticket, impatient) : Promise.resolve();
    });
  }

  #leaveHead(ticket: Ticket, impatient: boolean): Promise<void> {
    const { holder } = this;
    if (holder === undefined) {
      if (this.#tickets.length === 0) return this.#giveUp(ticket, impatient);
      this.#inherit();
      return Promise.resolve();
    }
    this.#endTurn({ name: 'given-back', grant: holder, writes: holder.pendingWrites });
    holder.end('released');
    if (holder.observed) this.#host.notifications.post(() => holder.announce());
    this.#events.notice({ tell: 'released', grant: holder });
    return this.#giveUp(ticket, impatient);
  }

  /** The next in line takes over the contender's place, and is told what was told of it. */
  #inherit(): void {
    const head = this.#tickets.first;
    if (head === undefined) return;
    head.notice({ tell: 'moved', state: this.#contender.state });
    if (this.#place?.tell === 'occupied') head.notice(this.#place);
    else this.#tellIfFailing(head);
  }

  /** Takes back what this one holds, as if it were lost. It is not handed on: who had it may not know yet. */
  #expire(ticket: Ticket): void {
    this.#host.notifications.during(() => {
      if (this.#tickets.first !== ticket) return;
      const grant = this.#end('max-hold');
      if (grant === undefined) return;
      const tenure = this.#tenure;
      this.#endTenure();
      this.#events.notice({ tell: 'lost', reason: 'max-hold', grant, heard: false });
      ticket.notice({ tell: 'lost', reason: 'max-hold' });
      this.#tickets.delete(ticket);
      this.#release(tenure);
    });
  }

  /** Everybody leaves. Resolves when nothing is left at the store. */
  async drain(): Promise<void> {
    // The head last, so that nothing is handed on to somebody who leaves as well.
    await Promise.all(this.#tickets.reversed().map((ticket) => this.leave(ticket)));
    if (this.#contender.state.name !== 'idle') await this.#host.notifications.during(() => this.#giveUp());
  }

  stop(): void {
    this.#host.notifications.during(() => {
      if (this.#turn.name === 'yielding') this.#endTurn(NOBODY);
      this.#end('stopped');
      this.#contender.stop();
    });
  }

  /** Gives the contender's place or grant back; but a grant's own writes must reach the store before. */
  #giveUp(ticket?: Ticket, impatient = false): Promise<void> {
    if (this.#turn.name === 'yielding') this.#endTurn(NOBODY);
    const turn = this.#turn;
    const writes = turn.name === 'given-back' ? turn.writes : undefined;
    const next = writes === undefined ? this.#handOn() : undefined;
    if (next === 'hand-on') return Promise.resolve();
    const left = this.#departures.add(ticket, impatient);
    if (next !== undefined) this.#letGo(next);
    else {
      writes?.then(() =>
        this.#host.notifications.during(() => {
          if (this.#turn !== turn) return;
          this.#release();
          // They have waited for a TTL, and perhaps for themselves.
          if (turn.name === 'given-back' && turn.grant.inTransaction) this.#departures.nothingLeft();
        }),
      );
    }
    if (this.failing) this.#departures.hurry();
    return left;
  }

  #release(tenure = this.#tenure): void {
    const next = this.#handOn(tenure);
    if (next !== 'hand-on') this.#letGo(next);
  }

  /** To the next in line here, if it may be: or says what is to be done instead. */
  #handOn(tenure = this.#tenure): Next {
    const turn = this.#turn;
    this.#turn = NOBODY;
    const { length: waiting } = this.#tickets;
    if (waiting === 0 || tenure === undefined) return 'release';
    const next = afterTurn(
      {
        waiting,
        believed: turn.name === 'given-back' && this.#isBelieved,
        unsure: turn.name === 'given-back' && turn.grant.unsure,
        handOffs: tenure.handOffs,
        heldFor: this.#host.clock.now() - tenure.since,
        races: this.#host.backend.traits.contention === 'race',
      },
      this.#limits,
    );
    if (next !== 'hand-on') return next;
    tenure.handOffs += 1;
    this.#grant(tenure);
    this.#departures.nothingLeft();
    return next;
  }

  #letGo(next: Exclude<Next, 'hand-on'>): void {
    this.#contender.release();
    if (this.#tickets.length === 0) return;
    if (next === 'yield')
      this.#turn = { name: 'yielding', timer: this.#host.clock.after(YIELD, () => this.#claimAgain()) };
    else this.#contender.claim();
  }

  get #isBelieved(): boolean {
    const { state } = this.#contender;
    return state.name === 'held' && state.session.trusted;
  }

  #claimAgain(): void {
    this.#turn = NOBODY;
    if (this.#tickets.length > 0) this.#contender.claim();
  }

  value(): Uint8Array {
    return this.#tickets.first?.value() ?? new Uint8Array();
  }

  get crowded(): boolean {
    return this.#tickets.length > 1;
  }

  notice(notice: Notice): void {
    const head = this.#tickets.first;
    switch (notice.tell) {
      case 'moved':
        this.#moved(notice);
        return;
      case 'granted':
        this.#place = undefined;
        this.#trouble = undefined;
        this.#failed = false;
        this.#grant({
          session: notice.session,
          holding: notice.holding,
          since: this.#host.clock.now(),
          handOffs: 0,
          grant: undefined,
        });
        return;
      case 'doubted':
        if (this.#turn.name === 'holder') head?.notice(notice);
        return;
      case 'reconfirmed':
        this.#reconfirmed();
        return;
      case 'lost':
        this.#lost(notice);
        return;
      case 'occupied':
        this.#place = notice;
        this.#failed = false;
        head?.notice(notice);
        return;
      case 'refused':
        this.#place = notice;
        // Everybody who waits would be refused as well.
        for (const ticket of this.#tickets.reversed()) ticket.notice(notice);
        return;
      case 'failed':
        this.#tried(notice);
        return;
      case 'removed':
        this.#proofs.removed(notice.holding);
        return;
      case 'released':
        // Refused, it goes on being removed.
        if (this.#contender.state.name !== 'releasing') this.#endTenure();
        this.#departures.nothingLeft();
        if (this.#tickets.length === 0) this.#onIdle();
    }
  }

  #moved(notice: Told<'moved'>): void {
    const { state } = notice;
    if (state.name === 'seeking') this.#place = undefined;
    else if (state.name === 'idle') this.#failed = false;
    const head = this.#tickets.first;
    head?.notice(notice);
    if (head !== undefined && state.name === 'seeking' && state.session === undefined)
      this.#tellIfFailing(head);
  }

  #grant(tenure: Tenure): void {
    const head = this.#tickets.first;
    if (head === undefined) {
      this.#contender.release();
      return;
    }
    const { session, holding, handOffs } = tenure;
    const grant: Grant = new Grant(this.key, session, holding, handOffs, () => this.#giveBack(grant, head));
    const { maxHold } = head;
    const expiry =
      maxHold === undefined ? undefined : this.#host.clock.after(maxHold, () => this.#expire(head));
    this.#turn = { name: 'holder', grant, since: this.#host.clock.now(), expiry };
    tenure.grant = grant;
    this.#tenure = tenure;
    this.#proofs.granted(grant);
    const notice = { tell: 'granted', grant } as const;
    this.#events.notice(notice);
    head.notice(notice);
  }

  #reconfirmed(): void {
    const { holder } = this;
    if (holder === undefined) return;
    this.#tickets.first?.notice({ tell: 'granted', grant: holder });
    this.#host.notifications.post(() => holder.reconfirmed());
  }

  #lost(notice: Told<'lost'>): void {
    const grant = this.#end(notice.reason);
    this.#endTenure();
    // Writes under a grant that is lost are refused by the store; nothing has to wait for them.
    this.#turn = NOBODY;
    this.#departures.nothingLeft();
    const head = this.#tickets.first;
    if (grant !== undefined && head !== undefined) {
      this.#events.notice({ ...notice, grant, heard: head.heard === true });
      head.notice(notice);
      if (!head.standing) this.#tickets.delete(head);
    }
    if (this.#tickets.length === 0) this.#contender.release();
  }

  #tried(notice: Told<'failed'>): void {
    const { error, source } = notice;
    if (source === 'lock') {
      // What is refused is known, and is told as such.
      this.#failed = !isLasting(error);
      this.#events.trouble(error, this.key);
    }
    this.#trouble = error;
    this.#tickets.first?.notice(notice);
    this.#departures.hurry();
  }

  #endTenure(): void {
    if (this.#tenure?.grant !== undefined) this.#proofs.ended(this.#tenure.grant, this.#tenure.session.ttl);
    this.#tenure = undefined;
  }

  /** Ends what is held here, if anything is. */
  #end(why: LossReason): Grant | undefined {
    const { holder } = this;
    if (holder === undefined) return undefined;
    this.#endTurn(NOBODY);
    holder.end(why);
    this.#host.notifications.postUrgent(() => holder.announce());
    return holder;
  }

  #endTurn(next: Turn): void {
    const turn = this.#turn;
    if (turn.name === 'holder') turn.expiry?.cancel();
    else if (turn.name === 'yielding') turn.timer.cancel();
    this.#turn = next;
  }

  #giveBack(grant: Grant, ticket: Ticket): Promise<void> {
    if (this.holder === grant) return ticket.release?.() ?? this.leave(ticket);
    // Given back before: there may be something to wait for. After a loss there is nothing.
    return (grant.ended === 'released' ? ticket.left : undefined) ?? Promise.resolve();
  }
}
