import type { Scope } from '../../sync/backend.ts';
import type { Footprint } from '../kit/batch.ts';
import { type Batched, Batcher } from '../kit/batcher.ts';
import { badResponse, CallFailure, isOfOne } from './errors.ts';
import { type BytesCall, Exchange } from './exchange.ts';
import { Pending, type Settle } from './lifetime.ts';
import { decodeRange, decodeReads, type RangeReply } from './reply.ts';
import { encodeRange, encodeReads, RANGE, TXN } from './request.ts';
import type { Transport } from './transport.ts';

/** The server allows 128 operations a request (`--max-txn-ops`). */
const LIMITS = { cost: 100, bytes: 512 * 1024 };

/**
 * Reads that are issued together go to the server together, as the operations of one transaction: a hundred of them cost
 * the server and us less than a tenth of what they cost one by one. The server looks at the rights to each.
 */
export class Reads {
  readonly #transport: Transport;
  readonly #batcher: Batcher<Read>;

  constructor(transport: Transport) {
    this.#transport = transport;
    const alone = (read: Read): void => this.#batcher.alone(read);
    this.#batcher = new Batcher(transport.reads, LIMITS, (members, done) => {
      const [only] = members;
      if (members.length === 1 && only !== undefined) only.send(done);
      else new Together(transport, members, alone, done).send();
    });
  }

  read(scope: Scope, signal: AbortSignal): Promise<RangeReply> {
    const read = new Read(this.#transport, scope, signal);
    read.attach(this.#transport.lifetime);
    if (!read.over) this.#batcher.add(read);
    return read.promise;
  }
}

class Read extends Pending<RangeReply> implements Batched {
  readonly scope: Scope;
  readonly urgent = false;
  readonly #transport: Transport;

  constructor(transport: Transport, scope: Scope, signal: AbortSignal) {
    super(signal);
    this.#transport = transport;
    this.scope = scope;
  }

  /** Reads do not mind one another. */
  get footprint(): Footprint {
    const text = this.scope.key ?? this.scope.prefix;
    return { keys: [], cost: 1, bytes: 8 * text.length };
  }

  /** It listens from the beginning. */
  wait(): void {}

  givenUp(): boolean {
    return this.over;
  }

  /** By itself. Calls `done` when the request is over. */
  send(done: () => void): void {
    const request = encodeRange(this.scope);
    const exchange = new Exchange(
      this.#transport,
      { path: RANGE, request, decode: decodeRange, repeatable: true },
      this,
    );
    this.undo = () => {
      exchange.end();
      done();
    };
    if (this.over) done();
  }
}

/** Reads that travel in one request, which is over when nobody waits for any of them. */
class Together implements Settle<readonly RangeReply[]> {
  readonly #transport: Transport;
  readonly #members: readonly Read[];
  readonly #alone: (read: Read) => void;
  readonly #done: () => void;
  #exchange: Exchange<readonly RangeReply[]> | undefined;
  #waiting: number;

  constructor(transport: Transport, members: readonly Read[], alone: (read: Read) => void, done: () => void) {
    this.#transport = transport;
    this.#members = members;
    this.#alone = alone;
    this.#done = done;
    this.#waiting = members.length;
  }

  send(): void {
    const left = (): void => this.#left();
    for (const member of this.#members) member.undo = left;
    const call: BytesCall<readonly RangeReply[]> = {
      path: TXN,
      request: encodeReads(this.#members.map(({ scope }) => scope)),
      decode: decodeReads,
      repeatable: true,
      expects: isOfOne,
    };
    this.#exchange = new Exchange(this.#transport, call, this);
    if (this.#waiting === 0) this.#exchange.end();
  }

  resolve(replies: readonly RangeReply[]): void {
    if (replies.length !== this.#members.length) {
      this.reject(badResponse('the server', 'a transaction without its parts'));
      return;
    }
    for (const [place, reply] of replies.entries()) this.#members[place]?.resolve(reply);
  }

  reject(error: unknown): void {
    for (const member of this.#members) {
      if (member.over) continue;
      if (!(error instanceof CallFailure)) {
        member.reject(error);
        continue;
      }
      member.undo = undefined;
      this.#left();
      this.#alone(member);
    }
  }

  #left(): void {
    this.#waiting -= 1;
    if (this.#waiting > 0) return;
    this.#exchange?.end();
    this.#done();
  }
}
