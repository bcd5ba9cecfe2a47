import type { Commit, CommitResult, Revision } from '../../contract/backend.ts';
import { SyncError } from '../../contract/errors.ts';
import { keyOf } from '../../contract/validate.ts';
import { Batcher } from '../kit/batcher.ts';
import { type Footprint, isAboutKnown } from '../kit/footprint.ts';
import { type Bounded, exactly, isBounded } from './bounded.ts';
import { badResponse, CallFailure, isLeaseMissing, isRefusal } from './errors.ts';
import { type BytesCall, Exchange } from './exchange.ts';
import { Pending } from './lifetime.ts';
import type { Reads } from './reads.ts';
import { decodeTxn, type TxnOutcome, type TxnReply } from './reply.ts';
import { encodeGroup, encodeTxn, TXN } from './request.ts';
import { type Passenger, Together, type Vehicle } from './together.ts';
import type { Transport } from './transport.ts';

/**
 * The server allows 128 operations (`--max-txn-ops`): those of a request, and with them those of each nested in it. One of
 * the request's own makes it look at who asks.
 */
const MOST_MEMBERS = 100;
const MOST_OPERATIONS = 27;

/** Bytes of keys and values: well below the server's default for `--max-request-bytes`, which is 1.5 MiB. */
const GROUP_LIMITS = { cost: MOST_MEMBERS, bytes: 1024 * 1024 };

/** Bytes that a key costs on top of itself. */
const OVERHEAD = 64;

/**
 * Commits that are issued together go to the server together: as transactions nested in one, each with its own
 * conditions and outcome, for one consensus write.
 */
export class Commits {
  readonly #transport: Transport;
  readonly #reads: Reads;
  readonly #batcher: Batcher<Member>;

  constructor(transport: Transport, reads: Reads) {
    this.#transport = transport;
    this.#reads = reads;
    const vehicle: Vehicle<Member, TxnReply> = {
      call: transactions,
      settle: settleAll,
      alone: (member) => this.#batcher.alone(member),
    };
    this.#batcher = new Batcher(transport.writes, GROUP_LIMITS, (members, done) => {
      const [only] = members;
      if (members.length === 1 && only !== undefined) only.send(done);
      else new Together(transport, members, vehicle, done).send();
    });
  }

  /** Sent once: a repetition could not tell its own first run from somebody else's. */
  commit(wanted: Commit, signal: AbortSignal): Promise<CommitResult> {
    const member = new Member(this.#transport, wanted, signal);
    if (this.#transport.mayGroup) this.#batcher.add(member);
    else this.#batcher.alone(member);
    return isBounded(wanted.read) ? this.#exactly(wanted.read, member) : member.promise;
  }

  async #exactly(scope: Bounded, member: Member): Promise<CommitResult> {
    const result = await member.promise;
    if (!('read' in result) || result.read === undefined) return result;
    const { asOf, signal } = member;
    try {
      const read = await exactly(scope, result.read, asOf, (peers) => this.#reads.peers(peers, signal));
      return { ...result, read };
    } catch (error) {
      // The look changes nothing, but the commit may have.
      if (!result.ok || signal.aborted || !(error instanceof SyncError)) throw error;
      throw new SyncError(error.code, error.message, { cause: error.cause, outcome: 'unknown' });
    }
  }
}

/** One commit on its way, and who waits for it. */
class Member extends Pending<CommitResult> implements Passenger {
  readonly wanted: Commit;
  /** Encoded when it was asked for: the values are those of that moment. */
  readonly request: Buffer;
  /** What was read is of that revision. */
  asOf: Revision = 0n;
  readonly #transport: Transport;

  constructor(transport: Transport, wanted: Commit, signal: AbortSignal) {
    super(signal);
    this.#transport = transport;
    this.wanted = wanted;
    this.request = encodeTxn(wanted);
  }

  get repeatable(): boolean {
    return this.wanted.then.length === 0;
  }

  get footprint(): Footprint {
    return footprintOf(this.wanted);
  }

  get urgent(): boolean {
    return isAboutKnown(this.wanted);
  }

  /** By itself. Calls `done` when the request is over. */
  send(done: () => void): void {
    this.attach(this.#transport.lifetime);
    if (this.over) {
      done();
      return;
    }
    const exchange = new Exchange(this.#transport, transaction(this.request, this.repeatable), {
      resolve: (reply) => this.answer(reply, reply.revision),
      reject: (error) => {
        // The conditions held, but a put names a lease that is gone. The server undid nothing: it checks before it writes.
        if (error instanceof CallFailure) this.resolve({ ok: false, why: 'session-gone' });
        else this.reject(error);
      },
    });
    this.undo = () => {
      exchange.end();
      done();
    };
    // It may have failed at once.
    if (this.over) done();
  }

  answer({ succeeded, records, count }: TxnOutcome, revision: Revision): void {
    this.asOf = revision;
    const isCounted = succeeded && this.wanted.count !== undefined;
    if (this.wanted.read === undefined && !isCounted) {
      this.resolve(succeeded ? { ok: true, revision } : { ok: false, why: 'conflict' });
    } else if (records === undefined) {
      this.reject(badResponse('the server', 'a range without records'));
    } else if (!succeeded) {
      this.resolve({ ok: false, why: 'conflict', read: records });
    } else {
      this.resolve(isCounted ? { ok: true, revision, count } : { ok: true, revision, read: records });
    }
  }
}

function transactions(members: readonly Member[]): BytesCall<TxnReply> {
  const request = encodeGroup(members.map(({ request }) => request));
  const repeatable = members.every((member) => member.repeatable);
  return { ...transaction(request, repeatable), expects: isRefusal };
}

function settleAll(members: readonly Member[], { parts = [], revision }: TxnReply): boolean {
  if (parts.length !== members.length) return false;
  for (const [place, part] of parts.entries()) {
    const member = members[place];
    if (member?.givenUp() === false) member.answer(part, revision);
  }
  return true;
}

function transaction(request: Buffer, repeatable: boolean): BytesCall<TxnReply> {
  return { path: TXN, request, repeatable, decode: decodeTxn, expects: isLeaseMissing };
}

function footprintOf({ when, then, read, count }: Commit): Footprint {
  const keys: string[] = [];
  let bytes = 0;
  for (const { key } of when) {
    keys.push(key);
    bytes += sizeOf(key);
  }
  for (const mutation of then) {
    const key = keyOf(mutation);
    // A lock's condition is about the record that it puts or removes.
    if (key !== keys[0]) keys.push(key);
    bytes += sizeOf(key);
    if (mutation.put !== undefined) bytes += mutation.value.byteLength;
  }
  let prefix = count;
  if (read?.prefix !== undefined) prefix = read.prefix;
  if (read?.key !== undefined) {
    keys.push(read.key);
    bytes += sizeOf(read.key);
  }
  if (prefix !== undefined) bytes += sizeOf(prefix);
  const operations = Math.max(when.length, then.length + 1);
  return { keys, prefix, bytes, cost: operations > MOST_OPERATIONS ? MOST_MEMBERS : 1 };
}

function sizeOf(key: string): number {
  return 4 * key.length + OVERHEAD;
}
