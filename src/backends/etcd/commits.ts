import { type Commit, type CommitResult, isSyncError } from '../../sync/backend.ts';
import { Batch, type Member } from './batch.ts';
import { resultOf, transactionOf } from './commit.ts';
import { badResponse, isLeaseMissing } from './errors.ts';
import { OVER, type Settle } from './lifetime.ts';
import { revisionOf } from './query.ts';
import { CallFailure, type Transport } from './transport.ts';
import type { TxnRequest, TxnResponse } from './wire.ts';

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
    return new Promise((resolve, reject) => {
      // Made ready now: the values are those of this moment.
      const member = { wanted, request: transactionOf(wanted), signal, resolve, reject };
      if (!this.#mayGroup) {
        void this.#alone(member);
        return;
      }
      this.#members.push(member);
      if (this.#members.length === 1) queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    const members = this.#members.filter(({ signal, reject }) => {
      if (signal.aborted) reject(signal.reason);
      return !signal.aborted;
    });
    this.#members = [];
    for (const batch of Batch.split(members)) {
      const [first] = batch.members;
      if (batch.members.length > 1) void this.#together(batch);
      else if (first !== undefined) void this.#alone(first);
    }
  }

  async #alone({ wanted, request, signal, resolve, reject }: Member): Promise<void> {
    try {
      const repeatable = wanted.then.length === 0;
      const response = await this.#transact(request, repeatable, signal);
      resolve(resultOf(wanted, response, revisionOf(response.header)));
    } catch (error) {
      // The conditions held, but a put names a lease that is gone. The server undid nothing: it checks before it writes.
      if (error instanceof CallFailure) resolve({ ok: false, why: 'session-gone' });
      else reject(error);
    }
  }

  async #together({ members }: Batch): Promise<void> {
    const controller = new AbortController();
    let waiting = members.length;
    const left = (): void => {
      waiting -= 1;
      if (waiting === 0) controller.abort(OVER);
    };
    const settles = members.map((member) => this.#expect(member, left));
    const success = members.map(({ request }) => ({ request_txn: request }));
    const repeatable = members.every(({ wanted }) => wanted.then.length === 0);
    try {
      const response = await this.#transact(
        { compare: [], success, failure: [] },
        repeatable,
        controller.signal,
      );
      const revision = revisionOf(response.header);
      for (const [place, { wanted }] of members.entries()) {
        const nested = response.responses[place]?.response_txn;
        if (nested === undefined) throw badResponse('the server', 'a transaction without its parts');
        settles[place]?.resolve(resultOf(wanted, nested, revision));
      }
    } catch (error) {
      // One of them is at fault, and nothing of any was done: then each has to answer for itself.
      const refused = error instanceof CallFailure || REFUSALS.some((code) => isSyncError(error, code));
      for (const settle of settles) {
        if (refused) settle?.resolve('alone');
        else settle?.reject(error);
      }
    }
  }

  /** Each may give up by its own signal. */
  #expect(member: Member, left: () => void): Settle<CommitResult | 'alone'> | undefined {
    let settle: Settle<CommitResult | 'alone'> | undefined;
    const expecting = this.#transport.lifetime.run<CommitResult | 'alone'>(member.signal, (given) => {
      settle = given;
      return left;
    });
    if (settle === undefined) left();
    expecting.then((result) => {
      if (result === 'alone') void this.#alone(member);
      else member.resolve(result);
    }, member.reject);
    return settle;
  }

  #transact(request: TxnRequest, repeatable: boolean, signal: AbortSignal): Promise<TxnResponse> {
    const call = { service: 'KV', method: 'txn', request, repeatable, expects: isLeaseMissing } as const;
    return this.#transport.call<TxnResponse>(call, signal);
  }
}

const REFUSALS = ['permission-denied', 'value-too-large', 'rejected'] as const;
