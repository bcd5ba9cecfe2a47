import { SettleOnce } from '../../async/settle-once.ts';
import { isSyncError, refused, SyncError } from '../../contract/errors.ts';
import { type Batched, Batcher } from './batcher.ts';
import type { Cancel, Done, Lane, Verdict } from './driver.ts';
import type { Footprint } from './footprint.ts';
import type { Lifetime } from './lifetime.ts';

/** How often in a row a server may do nothing of what it is asked, and blame none of it. */
const MOST_ROUNDS = 8;

/** Refusals that may be the fault of one of those that were sent together. */
const OF_ONE = ['permission-denied', 'value-too-large', 'rejected'] as const;

interface Traffic<R, A> {
  /** Without it, every request goes by itself, and at once. */
  readonly lane: Lane | undefined;
  send(requests: readonly R[], done: Done<A>): Cancel;
}

/**
 * Requests to a server, those that are issued together sent as one: each has an answer, or an error, of its own. What one of them
 * is refused for is never told to another.
 */
export class Requests<R, A> {
  /** Of the backend. */
  readonly lifetime: Lifetime;
  readonly traffic: Traffic<R, A>;
  readonly #batcher: Batcher<Member<R, A>> | undefined;

  constructor(lifetime: Lifetime, traffic: Traffic<R, A>) {
    this.lifetime = lifetime;
    this.traffic = traffic;
    const { lane } = traffic;
    if (lane === undefined) return;
    this.#batcher = new Batcher(lane.window, lane.limits, (members, done) => {
      new Sending(this, members, done).start();
    });
  }

  /** By itself, where it has no footprint. */
  ask(request: R, signal: AbortSignal, urgent = false, footprint?: Footprint): Promise<A> {
    const member = new Member<R, A>(request, signal, urgent);
    if (footprint !== undefined && this.#batcher !== undefined) this.#batcher.add(member, footprint);
    else this.alone(member);
    return member.promise;
  }

  alone(member: Member<R, A>): void {
    if (this.#batcher !== undefined) this.#batcher.alone(member);
    // Where there is a batcher, it asks.
    else new Sending(this, [member.follow(member.signal)], nothing).start();
  }
}

/** Whoever waits for one of them. */
class Member<R, A> extends SettleOnce<A> implements Batched {
  readonly request: R;
  readonly signal: AbortSignal;
  readonly urgent: boolean;
  /** Called when it needs no answer any more. */
  onSettled: (() => void) | undefined;

  constructor(request: R, signal: AbortSignal, urgent: boolean) {
    super();
    this.request = request;
    this.signal = signal;
    this.urgent = urgent;
  }

  // Without a closure for each: thousands are issued together.
  override resolve(answer: A | PromiseLike<A>): boolean {
    const isFirst = super.resolve(answer);
    if (isFirst) this.onSettled?.();
    return isFirst;
  }

  override reject(reason: unknown): boolean {
    const isFirst = super.reject(reason);
    if (isFirst) this.onSettled?.();
    return isFirst;
  }

  givenUp(): boolean {
    if (this.signal.aborted) this.reject(this.signal.reason);
    return this.settled;
  }
}

/** Requests that travel as one. It is over when nobody waits for any of them. */
class Sending<R, A> {
  readonly #requests: Requests<R, A>;
  readonly #done: () => void;
  /** Those that have no verdict yet. */
  #members: readonly Member<R, A>[];
  #waiting: number;
  #cancel: Cancel | undefined;
  #rounds = 0;

  /** @param done called once, when the request is over. */
  constructor(requests: Requests<R, A>, members: readonly Member<R, A>[], done: () => void) {
    this.#requests = requests;
    this.#members = members;
    this.#waiting = members.length;
    this.#done = done;
  }

  start(): void {
    const { lifetime } = this.#requests;
    const left = (): void => this.#left();
    for (const member of this.#members) member.onSettled = left;
    if (lifetime.over) {
      this.reject(lifetime.stopped('refused'));
      return;
    }
    lifetime.add(this);
    if (this.#waiting > 0) this.#send();
  }

  /** Nothing is known of any of them. */
  reject(error: SyncError): void {
    for (const member of this.#members) member.reject(error);
  }

  #send(): void {
    let isDone = false;
    const members = this.#members;
    const cancel = this.#requests.traffic.send(
      members.map(({ request }) => request),
      (outcome) => {
        if (isDone) return;
        isDone = true;
        this.#cancel = undefined;
        this.#settle(members, outcome);
      },
    );
    if (isDone) return;
    if (this.#waiting > 0) this.#cancel = cancel;
    else cancel();
  }

  #settle(members: readonly Member<R, A>[], outcome: readonly Verdict<A>[] | SyncError): void {
    if (isSyncError(outcome)) {
      if (members.length > 1 && mayBeOfOne(outcome)) for (const member of members) this.#dismiss(member);
      else this.reject(outcome);
      return;
    }
    const again: Member<R, A>[] = [];
    for (const [place, member] of members.entries()) {
      const verdict = outcome[place];
      if (member.givenUp()) continue;
      if (verdict === 'alone' && members.length > 1) this.#dismiss(member);
      else if (verdict === 'again' || verdict === 'alone') again.push(member);
      else if (verdict === undefined || isSyncError(verdict)) member.reject(verdict ?? withoutAnswer());
      else member.resolve(verdict);
    }
    if (again.length > 0) this.#again(again, again.length === members.length);
  }

  #again(members: readonly Member<R, A>[], inVain: boolean): void {
    this.#members = members;
    this.#rounds = inVain ? this.#rounds + 1 : 0;
    if (this.#rounds < MOST_ROUNDS) this.#send();
    else this.reject(refused('unavailable', 'the server did nothing of what it was asked'));
  }

  /** It goes on by itself, in its turn. */
  #dismiss(member: Member<R, A>): void {
    if (member.givenUp()) return;
    member.onSettled = undefined;
    this.#left();
    this.#requests.alone(member);
  }

  #left(): void {
    this.#waiting -= 1;
    if (this.#waiting > 0) return;
    this.#requests.lifetime.delete(this);
    this.#cancel?.();
    this.#done();
  }
}

function mayBeOfOne(error: SyncError): boolean {
  return error.outcome === 'refused' && OF_ONE.some((code) => error.code === code);
}

function withoutAnswer(): SyncError {
  return new SyncError('bad-response', 'the server answered to others, and not to this');
}

function nothing(): void {}
