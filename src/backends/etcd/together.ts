import type { Batched } from '../kit/batcher.ts';
import { badResponse, CallFailure } from './errors.ts';
import { type BytesCall, Exchange } from './exchange.ts';
import type { Settle } from './lifetime.ts';
import type { Transport } from './transport.ts';

export interface Passenger extends Batched {
  /** Runs once, however it ends. */
  undo: (() => void) | undefined;
  reject(error: unknown): void;
}

/** How requests of one kind travel as one. */
export interface Vehicle<M, Reply> {
  call(members: readonly M[]): BytesCall<Reply>;
  /** `false` where the reply has not a part for each of them. */
  settle(members: readonly M[], reply: Reply): boolean;
  /** Sends one of them by itself. */
  alone(member: M): void;
}

/** Requests that travel as one, which is over when nobody waits for any of them. */
export class Together<M extends Passenger, Reply> implements Settle<Reply> {
  readonly #transport: Transport;
  readonly #members: readonly M[];
  readonly #vehicle: Vehicle<M, Reply>;
  readonly #done: () => void;
  #exchange: Exchange<Reply> | undefined;
  #waiting: number;

  /** @param done called when the request is over. */
  constructor(transport: Transport, members: readonly M[], vehicle: Vehicle<M, Reply>, done: () => void) {
    this.#transport = transport;
    this.#members = members;
    this.#vehicle = vehicle;
    this.#done = done;
    this.#waiting = members.length;
  }

  send(): void {
    const left = (): void => this.#left();
    for (const member of this.#members) member.undo = left;
    if (!this.#transport.lifetime.add(this)) return;
    this.#exchange = new Exchange(this.#transport, this.#vehicle.call(this.#members), this);
    // It may have failed at once.
    if (this.#waiting === 0) this.#exchange.end();
  }

  resolve(reply: Reply): void {
    if (!this.#vehicle.settle(this.#members, reply)) {
      this.reject(badResponse('the server', 'a transaction without its parts'));
    }
  }

  reject(error: unknown): void {
    for (const member of this.#members) {
      if (member.givenUp()) continue;
      // One of them is at fault, and nothing of any was done: then each has to answer for itself.
      if (error instanceof CallFailure) this.#dismiss(member);
      else member.reject(error);
    }
  }

  #dismiss(member: M): void {
    member.undo = undefined;
    this.#left();
    this.#vehicle.alone(member);
  }

  #left(): void {
    this.#waiting -= 1;
    if (this.#waiting > 0) return;
    this.#transport.lifetime.delete(this);
    this.#exchange?.end();
    this.#done();
  }
}
