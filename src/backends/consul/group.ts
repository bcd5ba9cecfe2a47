import { type CommitResult, isSyncError, type SyncError } from '../../sync/backend.ts';
import { Batch, Member, type Sharing } from './batch.ts';
import type { Answer } from './client.ts';
import type { Transaction } from './transaction.ts';

export interface GroupHost {
  send(body: string, signal: AbortSignal): Promise<Answer>;
  /** The indexes of the records in the results, in order. */
  indexes(answer: Answer): readonly bigint[];
  /** What became of a commit whose results begin there. */
  applied(transaction: Sharing, indexes: readonly bigint[], from: number): CommitResult;
  /** Which operations were refused, by their index. */
  refused(answer: Answer): readonly number[];
  /** Carries on with a commit by itself; with the refusal, if it was sent by itself already. */
  alone(transaction: Transaction, signal: AbortSignal, refusal: Answer | undefined): Promise<CommitResult>;
}

/**
 * Commits that are issued together go to the server together, as one transaction and one entry of the raft log. Consul
 * applies all of it or nothing: then it names the operations at fault, their commits go alone, and the others together
 * again. Whatever is issued in one turn of the event loop's microtasks is together; a lone commit does not wait.
 */
export class Group {
  readonly #host: GroupHost;
  readonly #underWay = new Set<Batch>();
  #batches: Batch[] = [];

  constructor(host: GroupHost) {
    this.#host = host;
  }

  /** The signal must not be aborted yet. */
  join(transaction: Sharing, signal: AbortSignal): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      // Only the youngest are looked at: many commits for one key must not become a square of looks.
      let batch: Batch | undefined;
      const { length } = this.#batches;
      for (let i = Math.max(0, length - 4); i < length && batch === undefined; i++) {
        if (this.#batches[i]?.takes(transaction)) batch = this.#batches[i];
      }
      if (batch === undefined) {
        batch = new Batch();
        if (this.#batches.push(batch) === 1) queueMicrotask(() => this.#flush());
      }
      batch.add(new Member(transaction, signal, batch, resolve, reject));
    });
  }

  /** Nobody gets an answer any more. */
  stop(reason: SyncError): void {
    for (const batch of [...this.#batches, ...this.#underWay]) {
      for (const member of [...batch.waiting]) member.giveUp(reason);
    }
  }

  #flush(): void {
    const batches = this.#batches;
    this.#batches = [];
    for (const batch of batches) {
      if (batch.waiting.size > 0) void this.#send(batch);
    }
  }

  /** Never rejects. Ends at the latest when nobody waits for any of it, as after the disposal of the backend. */
  async #send(batch: Batch): Promise<void> {
    this.#underWay.add(batch);
    let members = [...batch.waiting];
    let refusal: Answer | undefined;
    try {
      while (members.length > 0) {
        const body = `[${members.map(({ transaction }) => transaction.plain.operations).join(',')}]`;
        const answer = await this.#host.send(body, batch.signal);
        if (answer.status === 200) return this.#settle(members, this.#host.indexes(answer));
        if (members.length === 1) {
          refusal = answer;
          break;
        }
        const losers = at(members, this.#host.refused(answer));
        // Refused for a reason of its own.
        if (losers.size === 0) break;
        for (const loser of losers) this.#alone(loser);
        members = members.filter((member) => batch.waiting.has(member));
      }
    } catch (error) {
      // One that went by itself has had its answer.
      if (members.length === 1 || !REFUSALS.some((code) => isSyncError(error, code))) {
        for (const member of members) member.fail(error);
        return;
      }
    } finally {
      this.#underWay.delete(batch);
    }
    for (const member of members) this.#alone(member, refusal);
  }

  #settle(members: readonly Member[], indexes: readonly bigint[]): void {
    let from = 0;
    for (const member of members) {
      member.settle(this.#host.applied(member.transaction, indexes, from));
      from += member.transaction.plain.readFrom;
    }
  }

  #alone(member: Member, refusal?: Answer): void {
    const { transaction, signal } = member;
    member.goOn(() => this.#host.alone(transaction, signal, refusal));
  }
}

/** Nothing of the whole was done. */
const REFUSALS = ['permission-denied', 'value-too-large', 'rejected'] as const;

function at(members: readonly Member[], operations: readonly number[]): Set<Member> {
  const found = new Set<Member>();
  let first = 0;
  for (const member of members) {
    const end = first + member.transaction.plain.count;
    if (operations.some((index) => index >= first && index < end)) found.add(member);
    first = end;
  }
  return found;
}
