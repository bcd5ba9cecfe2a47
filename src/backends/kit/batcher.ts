import type { Window } from '../../async/window.ts';
import { Batch, type BatchLimits, type Footprint } from './batch.ts';

/** Of many batches that wait, only the youngest take in more: a thousand commits for one key must not become a million looks. */
const MOST_OPEN = 4;

export interface Batched {
  readonly footprint: Footprint;
  /** Goes ahead of what is not: see `Window`. */
  readonly urgent: boolean;
  /** It was not sent at once, and waits for its turn: it has to listen to whoever gives it up. */
  wait(): void;
  /** Nobody waits for it any more. */
  givenUp(): boolean;
}

/** A batch that has not been sent: it takes in more until it is. */
interface Open<M> {
  readonly batch: Batch<M>;
  readonly urgent: boolean;
  waits: boolean;
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

  /** @param send must call `done` once, when its request is over. */
  constructor(window: Window, limits: BatchLimits, send: (members: readonly M[], done: () => void) => void) {
    this.#window = window;
    this.#limits = limits;
    this.#send = send;
  }

  add(member: M): void {
    const open = this.#openFor(member);
    open.batch.add(member, member.footprint);
    if (open.waits) member.wait();
  }

  /** By itself, when it is its turn: what may not travel with others, or was the fault of those it travelled with. */
  alone(member: M): void {
    let started = false;
    this.#window.enter(member.urgent, () => {
      started = true;
      this.#dispatch([member]);
    });
    if (!started) member.wait();
  }

  #openFor({ footprint, urgent }: M): Open<M> {
    const all = urgent ? this.#urgent : this.#ordinary;
    for (let n = Math.max(0, all.length - MOST_OPEN); n < all.length; n++) {
      const open = all[n] as Open<M>;
      if (open.batch.takes(footprint)) return open;
    }
    const created = { batch: new Batch<M>(this.#limits), urgent, waits: false };
    all.push(created);
    if (this.#fresh.push(created) === 1) queueMicrotask(() => this.#flush());
    return created;
  }

  #flush(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const open of fresh) {
      let started = false;
      this.#window.enter(open.urgent, () => {
        started = true;
        this.#start(open);
      });
      if (started) continue;
      open.waits = true;
      for (const member of open.batch.members) member.wait();
    }
  }

  #start(open: Open<M>): void {
    const all = open.urgent ? this.#urgent : this.#ordinary;
    all.splice(all.indexOf(open), 1);
    this.#dispatch(open.batch.members);
  }

  #dispatch(members: readonly M[]): void {
    const waiting = members.filter((member) => !member.givenUp());
    const leave = (): void => this.#window.leave();
    if (waiting.length === 0) leave();
    else this.#send(waiting, once(leave));
  }
}

function once(task: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    task();
  };
}
