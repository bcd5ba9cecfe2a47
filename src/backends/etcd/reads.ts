import type { Scope, StoredRecord } from '../../contract/backend.ts';
import { Batcher } from '../kit/batcher.ts';
import type { Footprint } from '../kit/footprint.ts';
import { type Bounded, boundOf, exactly, isBounded, type Peers } from './bounded.ts';
import { isOfOne } from './errors.ts';
import { type BytesCall, Exchange } from './exchange.ts';
import { Pending } from './lifetime.ts';
import { decodeRange, decodeReads, type RangeReply } from './reply.ts';
import { encodeRange, encodeReads, RANGE, TXN } from './request.ts';
import { type Passenger, Together, type Vehicle } from './together.ts';
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
    const vehicle: Vehicle<Read, readonly RangeReply[]> = {
      call: ranges,
      settle: settleAll,
      alone: (read) => this.#batcher.alone(read),
    };
    this.#batcher = new Batcher(transport.reads, LIMITS, (members, done) => {
      const [only] = members;
      if (members.length === 1 && only !== undefined) only.send(done);
      else new Together(transport, members, vehicle, done).send();
    });
  }

  read(scope: Scope, signal: AbortSignal): Promise<RangeReply> {
    return isBounded(scope) ? this.#bounded(scope, signal) : this.#read(scope, signal);
  }

  async peers(peers: Peers, signal: AbortSignal): Promise<readonly StoredRecord[]> {
    return (await this.#read(peers, signal)).records;
  }

  async #bounded(scope: Bounded, signal: AbortSignal): Promise<RangeReply> {
    const reply = await this.#read(scope, signal);
    const { records, revision } = reply;
    const exact = await exactly(scope, records, revision, (peers) => this.peers(peers, signal));
    return { ...reply, records: exact, more: records.length > boundOf(scope) };
  }

  #read(scope: Scope | Peers, signal: AbortSignal): Promise<RangeReply> {
    const read = new Read(this.#transport, scope, signal);
    this.#batcher.add(read);
    return read.promise;
  }
}

class Read extends Pending<RangeReply> implements Passenger {
  readonly scope: Scope | Peers;
  readonly urgent = false;
  readonly #transport: Transport;

  constructor(transport: Transport, scope: Scope | Peers, signal: AbortSignal) {
    super(signal);
    this.#transport = transport;
    this.scope = scope;
  }

  /** Reads do not mind one another. */
  get footprint(): Footprint {
    const text = this.scope.key ?? this.scope.prefix;
    return { keys: [], cost: 1, bytes: 8 * text.length };
  }

  /** By itself. Calls `done` when the request is over. */
  send(done: () => void): void {
    this.attach(this.#transport.lifetime);
    if (this.over) {
      done();
      return;
    }
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

function ranges(members: readonly Read[]): BytesCall<readonly RangeReply[]> {
  return {
    path: TXN,
    request: encodeReads(members.map(({ scope }) => scope)),
    decode: decodeReads,
    repeatable: true,
    expects: isOfOne,
  };
}

function settleAll(members: readonly Read[], replies: readonly RangeReply[]): boolean {
  if (replies.length !== members.length) return false;
  for (const [place, reply] of replies.entries()) {
    const member = members[place];
    if (member?.givenUp() === false) member.resolve(reply);
  }
  return true;
}
