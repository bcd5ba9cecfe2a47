import { randomUUID } from 'node:crypto';
import type { CommitResult, Revision, StoredRecord } from '../../contract/backend.ts';
import { isSyncError, refused, SyncError } from '../../contract/errors.ts';
import type { Cancel, Done, Verdict } from '../kit/driver.ts';
import { reading } from '../kit/reading.ts';
import type { Call } from './asking.ts';
import { type Answer, badAnswer, statusError, withoutToken } from './errors.ts';
import type { Reader } from './reader.ts';
import { type Reason, type Refusal, reasonOf, refusalsIn } from './reasons.ts';
import { type Entry, parseExact, recordOf } from './record.ts';
import { indexesIn, resultsIn } from './results.ts';
import { type Listing, select, type Target, targetOf } from './scope.ts';
import type { Draft, Transaction } from './transaction.ts';
import type { Transport } from './transport.ts';

type Applied = Extract<CommitResult, { ok: true }>;

/** How often what was read beforehand may turn out to have changed in between. */
const MOST_ROUNDS = 8;

/** Milliseconds. Consul does not tell how much of a lock-delay is left, and nothing announces its end. */
const DELAY_RETRY = 1_000;

const NO_GUESSES: ReadonlySet<number> = new Set();

/**
 * Commits by `/v1/txn`. Consul applies all of a transaction or nothing, and names the operations at fault. It has no
 * conditions for "unowned" and no read that takes absence for an answer: those are read first, and the transaction then insists on what
 * was read. Everything else is one round trip.
 */
export class Transactions {
  readonly #transport: Transport;
  readonly #reader: Reader;
  readonly #lockFlags: bigint;
  /** The largest index seen in an answer. */
  #latest: Revision = 0n;

  constructor(transport: Transport, reader: Reader, lockFlags: bigint) {
    this.#transport = transport;
    this.#reader = reader;
    this.#lockFlags = lockFlags;
  }

  /** As one transaction, and one entry of the raft log. */
  together(transactions: readonly Transaction[], done: Done<CommitResult>): Cancel {
    const drafts = transactions.map(({ plain }) => plain as Draft);
    const call = callOf(
      drafts.map(({ operations }) => operations).join(','),
      transactions.every(({ commit }) => commit.then.length === 0),
    );
    return this.#transport.ask(call, (outcome) => {
      if (isSyncError(outcome)) return done(outcome);
      try {
        if (outcome.status === 200) return done(this.#allApplied(transactions, drafts, outcome));
        const verdicts = verdictsOf(drafts, refusalsOf(outcome), outcome);
        if (verdicts.some((verdict) => isSyncError(verdict, 'permission-denied'))) {
          this.#askAnew(verdicts, outcome, done);
        } else done(verdicts);
      } catch (error) {
        done(error as SyncError);
      }
    });
  }

  /** By itself, with what must be read for it. */
  async alone(transaction: Transaction, signal: AbortSignal): Promise<CommitResult> {
    const result = await this.#run(transaction, signal);
    if (!transaction.counts) return result;
    if (result.ok) return { ok: true, revision: result.revision, count: result.read?.length ?? 0 };
    return result.why === 'conflict' ? { ok: false, why: 'conflict' } : result;
  }

  async #run(transaction: Transaction, signal: AbortSignal): Promise<CommitResult> {
    if (transaction.isOfNobody) return { ok: false, why: 'session-gone' };
    if (transaction.isHopeless) return this.#conflict(transaction, signal);
    const store = transaction.commit.then.length === 0 ? await this.#storeIndex(signal) : 0n;
    for (let round = 1; ; round++) {
      const known = await this.#look(transaction, signal);
      if (known === undefined) return this.#conflict(transaction, signal);
      const draft = transaction.draft(known);
      const call = callOf(draft.operations, transaction.commit.then.length === 0);
      const answer = await this.#transport.call(call, signal);
      if (answer.status === 200) return this.#found(transaction, draft, answer, store);
      const reason = reasonOf(refusalsOf(answer), draft.guesses);
      if (reason.why === 'conflict' || (reason.why === 'outdated' && round >= MOST_ROUNDS)) {
        return this.#conflict(transaction, signal);
      }
      if (reason.why === 'outdated') continue;
      const verdict = verdictOf(reason, answer);
      if (!isSyncError(verdict)) return verdict;
      const isStale =
        verdict.code === 'permission-denied' && (await this.#transport.hasAnotherToken(answer.token));
      if (!isStale || round >= MOST_ROUNDS) throw verdict;
    }
  }

  /** What must be known first; nothing when an owner makes the commit impossible. */
  async #look(
    { commit, unknown }: Transaction,
    signal: AbortSignal,
  ): Promise<Map<string, Entry | undefined> | undefined> {
    const known = new Map<string, Entry | undefined>();
    // One after the other: there is one place in the window for all of it.
    for (const key of unknown) {
      const { entries } = await this.#read({ text: key, tree: false }, signal);
      known.set(key, entries[0]);
    }
    const isOwned = commit.when.some(
      (condition) => condition.is === 'unowned' && known.get(condition.key)?.session,
    );
    return isOwned ? undefined : known;
  }

  #allApplied(transactions: readonly Transaction[], drafts: readonly Draft[], answer: Answer): Applied[] {
    const indexes = indexesOf(answer);
    let from = 0;
    return transactions.map((transaction, place) => {
      const draft = drafts[place] as Draft;
      const begin = from;
      from += draft.readFrom;
      if (indexes.length < from) throw noResult(answer);
      return this.#applied(transaction, draft, indexes, begin);
    });
  }

  #found(transaction: Transaction, draft: Draft, answer: Answer, store: Revision): CommitResult {
    if (store > this.#latest) this.#latest = store;
    const { read } = transaction.commit;
    if (read === undefined) {
      const indexes = indexesOf(answer);
      if (indexes.length < draft.readFrom) throw noResult(answer);
      return this.#applied(transaction, draft, indexes, 0);
    }
    const results = resultsOf(answer);
    const indexes = results.map(({ modified }) => modified);
    if (indexes.length < draft.readFrom) throw noResult(answer);
    const applied = this.#applied(transaction, draft, indexes, 0, indexes.length);
    return { ...applied, read: this.#records(select(read, results.slice(draft.readFrom))) };
  }

  /** @param indexes of the records in the results, of which those of this commit begin at `from`. */
  #applied(
    { commit: { when } }: Transaction,
    { writtenFrom, readFrom }: Draft,
    indexes: readonly bigint[],
    from: number,
    end = from + readFrom,
  ): Applied {
    let written = 0n;
    for (let i = from; i < end; i++) {
      const index = indexes[i] ?? 0n;
      if (index > this.#latest) this.#latest = index;
      if (i >= from + writtenFrom && i < from + readFrom && index > written) written = index;
    }
    for (const condition of when) {
      if (condition.revision !== undefined && condition.revision > this.#latest)
        this.#latest = condition.revision;
    }
    // A removal leaves no record to tell an index of: then it is one that the store had reached before.
    return { ok: true, revision: readFrom > writtenFrom ? written : this.#latest };
  }

  /** A refused transaction reads nothing, so this is read after it, and may be newer than what was refused. */
  async #conflict({ commit: { read } }: Transaction, signal: AbortSignal): Promise<CommitResult> {
    if (read === undefined) return { ok: false, why: 'conflict' };
    const { entries } = await this.#read(targetOf(read), signal);
    return { ok: false, why: 'conflict', read: this.#records(select(read, entries)) };
  }

  /** Asked before the transaction, so that whatever changes after it has a larger index. */
  async #storeIndex(signal: AbortSignal): Promise<Revision> {
    // For a prefix with nothing below it, and no trace of anything, Consul tells the index of the whole store.
    const nowhere = { text: `holdfast-${randomUUID()}`, tree: true };
    try {
      const { index } = await this.#read(nowhere, signal);
      return index;
    } catch (error) {
      // With `acl.enable_key_list_policy` that may not be ours to list, which is no reason to refuse the commit.
      if (isSyncError(error, 'permission-denied')) return 0n;
      throw error;
    }
  }

  /** Before a transaction, or after one that was refused: nothing is done when this fails. */
  #read(target: Target, signal: AbortSignal): Promise<Listing> {
    return reading(signal, this.#reader.read(target, { lane: 'commands', signal }));
  }

  #records(entries: readonly Entry[]): StoredRecord[] {
    return entries.map((entry) => recordOf(entry, this.#lockFlags));
  }

  /** What was denied may be allowed with the token of now. */
  #askAnew(verdicts: readonly Verdict<CommitResult>[], { token }: Answer, done: Done<CommitResult>): void {
    this.#transport.hasAnotherToken(token).then(
      (hasAnother) => {
        done(
          hasAnother
            ? verdicts.map((each) => (isSyncError(each, 'permission-denied') ? 'again' : each))
            : verdicts,
        );
      },
      () => done(verdicts),
    );
  }
}

function callOf(operations: string, isRepeatable: boolean): Call {
  return { lane: 'commands', method: 'PUT', path: '/txn?consistent', body: `[${operations}]`, isRepeatable };
}

function refusalsOf(answer: Answer): Refusal[] {
  if (answer.status !== 409) throw statusError(answer);
  const refusals = refusalsIn(parse(answer));
  // Consul always says which operation failed. Whoever does not may have passed on what it was asked.
  if (refusals.length === 0) throw new SyncError('rejected', said(answer, 'without a reason'));
  return refusals;
}

/** Nobody touches a key of another's, so each whose operations were refused would have been refused by itself as well. */
function verdictsOf(
  drafts: readonly Draft[],
  refusals: readonly Refusal[],
  answer: Answer,
): Verdict<CommitResult>[] {
  // Also what does not say which operation it is about.
  if (drafts.length === 1) return [verdictOf(reasonOf(refusals, NO_GUESSES), answer)];
  let from = 0;
  let isOfSome = false;
  const verdicts = drafts.map(({ count }) => {
    const first = from;
    from += count;
    const own = refusals.filter(({ index }) => index >= first && index < from);
    if (own.length === 0) return 'again';
    isOfSome = true;
    return verdictOf(reasonOf(own, NO_GUESSES), answer);
  });
  return isOfSome ? verdicts : verdicts.map(() => 'alone');
}

function verdictOf(reason: Reason, answer: Answer): CommitResult | SyncError {
  switch (reason.why) {
    case 'session-gone':
      return { ok: false, why: 'session-gone' };
    case 'delayed':
      return { ok: false, why: 'delayed', retryAfter: DELAY_RETRY };
    case 'conflict':
    case 'outdated':
      return { ok: false, why: 'conflict' };
    case 'denied': {
      const hint = 'check the token and its policies';
      return refused('permission-denied', `${said(answer, reason.text)}: ${hint}`);
    }
    case 'rejected':
      return refused('rejected', said(answer, reason.text));
  }
}

function said(answer: Answer, text: string): string {
  return `Consul at ${answer.address} refused a transaction (${withoutToken(text, answer)})`;
}

function resultsOf(answer: Answer): Entry[] {
  const results = resultsIn(parse(answer));
  if (results === undefined) throw noResult(answer);
  return results;
}

function indexesOf(answer: Answer): readonly bigint[] {
  return indexesIn(answer.body) ?? resultsOf(answer).map(({ modified }) => modified);
}

function parse(answer: Answer): unknown {
  try {
    return parseExact(answer.body);
  } catch {
    throw noResult(answer);
  }
}

function noResult(answer: Answer): SyncError {
  return badAnswer(answer, 'is no result of a transaction');
}
