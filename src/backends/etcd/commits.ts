import type { Commit, CommitResult, Revision } from '../../sync/backend.ts';
import { Batch } from './batch.ts';
import { badResponse, CallFailure, isLeaseMissing, isRefusal } from './errors.ts';
import { type BytesCall, Exchange } from './exchange.ts';
import { Pending, type Settle } from './lifetime.ts';
import { decodeTxn, type TxnOutcome, type TxnReply } from './reply.ts';
import { encodeGroup, encodeTxn, TXN } from './request.ts';
import type { Transport } from './transport.ts';

/** Milliseconds for which the signals of those who travel together are not listened to. */
const LISTEN_AFTER = 10;

/**
 * Commits that are issued together go to the server together: as transactions nested in one, each with its own
 * conditions and outcome, for one consensus write. Whatever is issued in one turn of the event loop's microtasks is
 * together; a lone commit does not wait for others.
 */
export class Commits {
  readonly #transport: Transport;
  readonly #mayGroup: boolean;
  #members: Member[] = [];

  constructor(transport: Transport, mayGroup: boolean) {
    this.#transport = transport;
    this.#mayGroup = mayGroup;
  }

  /** Sent once: a repetition could not tell its own first run from somebody else's. */
  commit(wanted: Commit, signal: AbortSignal): Promise<CommitResult> {
    const member = new Member(this.#transport, wanted, signal);
    if (!this.#mayGroup) member.send();
    else if (this.#members.push(member) === 1) queueMicrotask(() => this.#flush());
    return member.promise;
  }

  #flush(): void {
    const members = this.#members.filter((member) => !member.givenUp());
    this.#members = [];
    for (const { members: together } of Batch.split(members)) {
      if (together.length > 1) new Group(this.#transport, together).send();
      else together[0]?.send();
    }
  }
}

/** One commit on its way, and who waits for it. */
class Member extends Pending<CommitResult> {
  readonly wanted: Commit;
  /** Encoded when it was asked for: the values are those of that moment. */
  readonly request: Buffer;
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

  /** Asks the signal, to which nobody may be listening yet. */
  givenUp(): boolean {
    if (this.signal.aborted) this.reject(this.signal.reason);
    return this.over;
  }

  /** By itself. */
  send(): void {
    this.attach(this.#transport.lifetime);
    if (this.over) return;
    const exchange = new Exchange(this.#transport, transaction(this.request, this.repeatable), {
      resolve: (reply) => this.answer(reply, reply.revision),
      reject: (error) => {
        // The conditions held, but a put names a lease that is gone. The server undid nothing: it checks before it writes.
        if (error instanceof CallFailure) this.resolve({ ok: false, why: 'session-gone' });
        else this.reject(error);
      },
    });
    this.undo = () => exchange.end();
  }

  answer({ succeeded, records, count }: TxnOutcome, revision: Revision): void {
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

/**
 * Members that travel in one request. Each may give up by its own signal: to listen to them all costs a tenth of a lock's cycle,
 * so that is begun only when the answer is not there soon.
 */
class Group implements Settle<TxnReply> {
  readonly #transport: Transport;
  readonly #members: readonly Member[];
  #exchange: Exchange<TxnReply> | undefined;
  #listening: NodeJS.Timeout | undefined;
  #waiting: number;

  constructor(transport: Transport, members: readonly Member[]) {
    this.#transport = transport;
    this.#members = members;
    this.#waiting = members.length;
  }

  send(): void {
    if (!this.#transport.lifetime.add(this)) return;
    const left = () => this.#left();
    for (const member of this.#members) member.undo = left;
    const request = encodeGroup(this.#members.map(({ request }) => request));
    const repeatable = this.#members.every((member) => member.repeatable);
    const call = { ...transaction(request, repeatable), expects: isRefusal };
    this.#listening = setTimeout(() => {
      for (const member of this.#members) if (!member.over) member.listen();
    }, LISTEN_AFTER);
    this.#exchange = new Exchange(this.#transport, call, this);
    // It may have failed at once.
    if (this.#waiting === 0) this.#exchange.end();
  }

  resolve({ parts = [], revision }: TxnReply): void {
    if (parts.length === this.#members.length) {
      for (const [place, part] of parts.entries()) {
        const member = this.#members[place];
        if (member?.givenUp() === false) member.answer(part, revision);
      }
    } else this.reject(badResponse('the server', 'a transaction without its parts'));
  }

  reject(error: unknown): void {
    for (const member of this.#members) {
      if (member.givenUp()) continue;
      // One of them is at fault, and nothing of any was done: then each has to answer for itself.
      if (error instanceof CallFailure) this.#dismiss(member);
      else member.reject(error);
    }
  }

  #dismiss(member: Member): void {
    member.undo = undefined;
    this.#left();
    member.send();
  }

  #left(): void {
    this.#waiting -= 1;
    if (this.#waiting > 0) return;
    clearTimeout(this.#listening);
    this.#transport.lifetime.delete(this);
    this.#exchange?.end();
  }
}

function transaction(request: Buffer, repeatable: boolean): BytesCall<TxnReply> {
  return { path: TXN, request, repeatable, decode: decodeTxn, expects: isLeaseMissing };
}
