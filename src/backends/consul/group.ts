import type { Window } from '../../async/window.ts';
import type { CommitResult } from '../../contract/backend.ts';
import { isSyncError, SyncError } from '../../contract/errors.ts';
import { Batcher } from '../kit/batcher.ts';
import type { Answer } from './client.ts';
import { Member, type Sharing } from './member.ts';
import { LARGEST_REQUEST, MOST_OPERATIONS, type Transaction } from './transaction.ts';
import type { Refusal } from './verdict.ts';

export interface GroupHost {
  send(body: string, signal: AbortSignal): Promise<Answer>;
  /** The indexes of the records in the results, in order. */
  indexes(answer: Answer): readonly bigint[];
  /** What became of a commit whose results begin there. */
  applied(transaction: Sharing, indexes: readonly bigint[], from: number): CommitResult;
  /** Which operations were refused, and why. */
  refusals(answer: Answer): readonly Refusal[];
  /** Carries on with a commit by itself; from what was refused of it, if that is known. */
  alone(
    transaction: Transaction,
    signal: AbortSignal,
    refusals: readonly Refusal[] | undefined,
  ): Promise<CommitResult>;
}

/** One for all: an error costs a stack trace, and this one tells nobody. */
const OVER = new SyncError('stopped', 'nobody waits any more');

/** Of a request; the brackets and commas around the operations are in it. */
const LIMITS = { cost: MOST_OPERATIONS, bytes: LARGEST_REQUEST - MOST_OPERATIONS };

/**
 * Commits that are issued together go to the server together, as one transaction and one entry of the raft log. Consul
 * applies all of it or nothing: then it names the operations at fault, which is the answer to their commits, and the others go
 * together again.
 */
export class Groups {
  readonly #host: GroupHost;
  readonly #batcher: Batcher<Member>;
  /** All that have had no answer yet. */
  readonly #waiting = new Set<Member>();

  constructor(host: GroupHost, window: Window) {
    this.#host = host;
    this.#batcher = new Batcher(window, LIMITS, (members, done) => {
      void this.#send(members).then(done);
    });
  }

  /** The signal must not be aborted yet. */
  join(transaction: Sharing, signal: AbortSignal): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      this.#batcher.add(new Member(transaction, signal, this.#waiting, resolve, reject));
    });
  }

  /** Nobody gets an answer any more. */
  stop(reason: SyncError): void {
    for (const member of [...this.#waiting]) member.fail(reason);
  }

  /** Never rejects. Ends at the latest when nobody waits for any of it, as after the disposal of the backend. */
  async #send(together: readonly Member[]): Promise<void> {
    const controller = new AbortController();
    let left = together.length;
    const leave = (): void => {
      left -= 1;
      if (left === 0) controller.abort(OVER);
    };
    for (const member of together) member.onLeave = leave;
    if (together.length === 1) together[0]?.listen();
    let members = together;
    try {
      while (members.length > 0) {
        const body = `[${members.map(({ transaction }) => transaction.plain.operations).join(',')}]`;
        const answer = await this.#host.send(body, controller.signal);
        if (answer.status === 200) return this.#settle(members, this.#host.indexes(answer));
        const losers = at(members, this.#host.refusals(answer));
        // Refused for a reason of its own.
        if (losers.size === 0) break;
        for (const [loser, refusals] of losers) this.#alone(loser, refusals);
        members = members.filter((member) => !member.givenUp());
      }
    } catch (error) {
      // One that went by itself has had its answer.
      if (members.length === 1 || !isAboutOne(error)) {
        for (const member of members) member.fail(error);
        return;
      }
    }
    for (const member of members) this.#alone(member);
  }

  #settle(members: readonly Member[], indexes: readonly bigint[]): void {
    let from = 0;
    for (const member of members) {
      if (!member.givenUp()) member.settle(this.#host.applied(member.transaction, indexes, from));
      from += member.transaction.plain.readFrom;
    }
  }

  #alone(member: Member, refusals?: readonly Refusal[]): void {
    const { transaction, signal } = member;
    member.goOn(() => this.#host.alone(transaction, signal, refusals));
  }
}

const REFUSALS = ['permission-denied', 'value-too-large', 'rejected'] as const;

/** Nothing of the whole was done, and that may be the fault of one of them. What may have been done is not sent again. */
function isAboutOne(error: unknown): boolean {
  return REFUSALS.some((code) => isSyncError(error, code) && error.outcome === 'refused');
}

/** Whose operations were refused. Nobody touches a key of another's, so each would have been refused by itself as well. */
function at(members: readonly Member[], refusals: readonly Refusal[]): Map<Member, readonly Refusal[]> {
  const [only] = members;
  // Also what does not say which operation it is about.
  if (members.length === 1 && only !== undefined) return new Map([[only, refusals]]);
  const found = new Map<Member, readonly Refusal[]>();
  let first = 0;
  for (const member of members) {
    const end = first + member.transaction.plain.count;
    const own = refusals.filter(({ index }) => index >= first && index < end);
    if (own.length > 0) {
      const from = first;
      found.set(
        member,
        own.map(({ index, text }) => ({ index: index - from, text })),
      );
    }
    first = end;
  }
  return found;
}
