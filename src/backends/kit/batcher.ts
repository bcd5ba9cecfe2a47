import { clearInterval, queueMicrotask, setInterval } from '../../async/platform.ts';
import type { Window } from '../../async/window.ts';
import { Batch } from './batch.ts';
import type { BatchLimits } from './driver.ts';
import type { Footprint } from './footprint.ts';

/** Of many batches that wait, only the youngest take in more: a thousand commits for one key must not become a million looks. */
const MOST_OPEN = 4;

/** How often everybody is asked whether he gave up, in milliseconds: to listen to each costs up to a tenth of a cycle. */
const ASK_EVERY = 10;

export interface Batched {
  /** Goes ahead of what is not: see `Window`. */
  readonly urgent: boolean;
  /** Asks its signal whether anybody waits for it yet. */
  givenUp(): boolean;
}

/** A batch that has not been sent: it takes in more until it is. */
interface Open<M> {
  readonly batch: Batch<M>;
  readonly urgent: boolean;
}

/**
 * What is issued together goes to the server together. Whatever is issued in one turn of the event loop's microtasks is
 * together, and so is what waits for its turn meanwhile; a lone request does not wait for others.
 */
export class Batcher<M extends Batched> {
  readonly #window: Window;
  readonly #limits: BatchLimits;
  readonly #send: (members: readonly M[], done: () => void) => void;
  /** In the order in which they were begun. */
  readonly #urgent: Open<M>[] = [];
  readonly #ordinary: Open<M>[] = [];
  /** Begun in this turn. */
  #fresh: Open<M>[] = [];
  /** Who waits for a turn, and who travels together. */
  readonly #asked = new Set<readonly M[]>();
  #asking: NodeJS.Timeout | undefined;

  /** @param send must call `done` once, when its request is over. */
  constructor(window: Window, limits: BatchLimits, send: (members: readonly M[], done: () => void) => void) {
    this.#window = window;
    this.#limits = limits;
    this.#send = send;
  }

  add(member: M, footprint: Footprint): void {
    const open = this.#openFor(footprint, member.urgent);
    open.batch.add(member, footprint);
  }

  /** By itself, when it is its turn: what may not travel with others, or was the fault of those it travelled with. */
  alone(member: M): void {
    this.#enter([member], member.urgent, nothing);
  }

  #openFor(footprint: Footprint, urgent: boolean): Open<M> {
    const all = urgent ? this.#urgent : this.#ordinary;
    for (let n = Math.max(0, all.length - MOST_OPEN); n < all.length; n++) {
      const open = all[n] as Open<M>;
      if (open.batch.takes(footprint)) return open;
    }
    const created = { batch: new Batch<M>(this.#limits), urgent };
    all.push(created);
    if (this.#fresh.push(created) === 1) queueMicrotask(() => this.#flush());
    return created;
  }

  #flush(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const open of fresh) {
      const all = open.urgent ? this.#urgent : this.#ordinary;
      this.#enter(open.batch.members, open.urgent, () => all.splice(all.indexOf(open), 1));
    }
  }

  /** @param closed called when they are sent. */
  #enter(members: readonly M[], urgent: boolean, closed: () => void): void {
    let waits = true;
    this.#window.enter(urgent, () => {
      waits = false;
      this.#askNoMore(members);
      closed();
      this.#dispatch(members);
    });
    if (waits) this.#ask(members);
  }

  #dispatch(members: readonly M[]): void {
    const waiting = members.filter((member) => !member.givenUp());
    if (waiting.length > 0) this.#ask(waiting);
    const done = (): void => {
      this.#askNoMore(waiting);
      this.#window.leave();
    };
    if (waiting.length === 0) done();
    else this.#send(waiting, done);
  }

  #ask(members: readonly M[]): void {
    this.#asked.add(members);
    this.#asking ??= setInterval(() => this.#askAll(), ASK_EVERY).unref();
  }

  /** It ends when there was nobody to ask: to end it with each request, and begin anew with the next, costs more than all the rest of this. */
  #askAll(): void {
    for (const asked of this.#asked) for (const member of asked) member.givenUp();
    if (this.#asked.size > 0) return;
    clearInterval(this.#asking);
    this.#asking = undefined;
  }

  #askNoMore(members: readonly M[]): void {
    this.#asked.delete(members);
  }
}

function nothing(): void {}
