import { Contender, type ContenderListener, type Engine } from './contender.ts';
import type { Holding } from './contention/contention.ts';
import type { SyncError } from './errors.ts';
import type { Outbox } from './events.ts';
import { Grant } from './grant.ts';
import type { LockState, LossReason } from './lock-machine.ts';
import type { Session } from './session.ts';

/** One local caller in line for a key: a standing claim, or one scoped acquire. */
export interface Ticket {
  /** A standing claim stays in line after a loss, and gets the lock back. */
  readonly standing: boolean;
  value(): Uint8Array;
  granted(grant: Grant): void;
  lost(reason: LossReason, grant: Grant): void;
  /** Not to be had at the moment. */
  occupied(): void;
  refused(error: SyncError): void;
  /** Something failed and is being tried again. */
  trouble(error: unknown): void;
  moved(state: LockState): void;
}

export interface QueueEvents {
  granted(grant: Grant): void;
  lost(grant: Grant, reason: LossReason): void;
  released(grant: Grant): void;
  trouble(error: unknown): void;
}

/**
 * The callers of one key in this process, first come first served. They share one distributed contender, whose
 * place in line passes to the next caller when one gives up; only the one at the head can hold.
 */
export class LocalQueue implements ContenderListener {
  readonly key: string;
  readonly #contender: Contender;
  readonly #outbox: Outbox;
  readonly #events: QueueEvents;
  readonly #onIdle: () => void;
  readonly #tickets: Ticket[] = [];
  readonly #awaitingRelease: (() => void)[] = [];
  #current: { readonly grant: Grant; readonly holding: Holding } | undefined;

  constructor(engine: Engine, key: string, path: string, events: QueueEvents, onIdle: () => void) {
    this.key = key;
    this.#contender = new Contender(engine, key, path, this);
    this.#outbox = engine.outbox;
    this.#events = events;
    this.#onIdle = onIdle;
  }

  get empty(): boolean {
    return this.#tickets.length === 0 && this.#contender.disposable;
  }

  enter(ticket: Ticket): void {
    this.#outbox.during(() => {
      this.#tickets.push(ticket);
      if (this.#tickets[0] !== ticket || this.#contender.state.name === 'waiting') ticket.occupied();
      if (this.#tickets[0] === ticket) this.#contender.claim();
    });
  }

  /** Gives up a place or a grant. Resolves when nothing of it is left, at the latest with the session. */
  leave(ticket: Ticket): Promise<void> {
    return this.#outbox.during(() => {
      const index = this.#tickets.indexOf(ticket);
      if (index < 0) return Promise.resolve();
      this.#tickets.splice(index, 1);
      if (index > 0) return Promise.resolve();
      const current = this.#current;
      if (current === undefined) {
        // The next in line takes over the contender's place.
        if (this.#tickets.length > 0) return Promise.resolve();
        return this.#giveUp();
      }
      this.#current = undefined;
      current.grant.end('released');
      this.#outbox.post(() => current.grant.announce());
      this.#events.released(current.grant);
      const writes = current.grant.pendingWrites;
      if (writes === undefined) return this.#giveUp();
      return writes.then(() =>
        this.#outbox.during(() => {
          const { state } = this.#contender;
          // Lost meanwhile, and perhaps held again for the next caller.
          if (state.name !== 'held' || state.holding !== current.holding) return undefined;
          return this.#giveUp();
        }),
      );
    });
  }

  /** Everybody leaves. Resolves when nothing is left at the store. */
  async drain(): Promise<void> {
    await Promise.all([...this.#tickets].map((ticket) => this.leave(ticket)));
    if (this.#contender.state.name !== 'idle') await this.#outbox.during(() => this.#giveUp());
  }

  stop(): void {
    this.#outbox.during(() => {
      this.#endCurrent('stopped');
      this.#contender.stop();
    });
  }

  #giveUp(): Promise<void> {
    const released = new Promise<void>((resolve) => this.#awaitingRelease.push(resolve));
    this.#contender.release();
    if (this.#tickets.length > 0) this.#contender.claim();
    return released;
  }

  value(): Uint8Array {
    return this.#tickets[0]?.value() ?? new Uint8Array();
  }

  moved(state: LockState): void {
    this.#tickets[0]?.moved(state);
  }

  granted(session: Session, holding: Holding): void {
    const head = this.#tickets[0];
    if (head === undefined) {
      this.#contender.release();
      return;
    }
    const grant = new Grant(this.key, session, holding, () => this.#release(grant, head));
    this.#current = { grant, holding };
    this.#events.granted(grant);
    head.granted(grant);
  }

  reconfirmed(): void {
    if (this.#current) this.#tickets[0]?.granted(this.#current.grant);
  }

  lost(reason: LossReason): void {
    const grant = this.#endCurrent(reason);
    const head = this.#tickets[0];
    if (grant !== undefined && head !== undefined) {
      this.#events.lost(grant, reason);
      head.lost(reason, grant);
      if (!head.standing) this.#tickets.shift();
    }
    if (this.#tickets.length === 0) this.#contender.release();
  }

  occupied(): void {
    this.#tickets[0]?.occupied();
  }

  refused(error: SyncError): void {
    this.#tickets[0]?.refused(error);
  }

  trouble(error: unknown, source: 'session' | 'lock'): void {
    if (source === 'lock') this.#events.trouble(error);
    this.#tickets[0]?.trouble(error);
  }

  released(): void {
    for (const resolve of this.#awaitingRelease.splice(0)) resolve();
    if (this.#tickets.length === 0) this.#onIdle();
  }

  #endCurrent(why: LossReason): Grant | undefined {
    const grant = this.#current?.grant;
    this.#current = undefined;
    if (grant) {
      grant.end(why);
      this.#outbox.post(() => grant.announce());
    }
    return grant;
  }

  #release(grant: Grant, ticket: Ticket): Promise<void> {
    return this.#current?.grant === grant ? this.leave(ticket) : Promise.resolve();
  }
}
