import { randomUUID } from 'node:crypto';
import type { Commit, CommitResult, Revision, StoredRecord } from '../../contract/backend.ts';
import { REFUSED, SyncError } from '../../contract/errors.ts';
import { reading } from '../kit/reading.ts';
import type { Answer } from './client.ts';
import { type GroupHost, Groups } from './group.ts';
import { type Lifetime, stopped } from './lifetime.ts';
import type { Sharing } from './member.ts';
import type { Settings } from './options.ts';
import type { Reader } from './reader.ts';
import { type Entry, parseExact, recordOf } from './record.ts';
import { indexesIn, resultsIn } from './results.ts';
import { type Listing, select, type Target, targetOf } from './scope.ts';
import { type Request, Transaction } from './transaction.ts';
import type { Call, Transport } from './transport.ts';
import { judge, type Refusal, refusalsIn } from './verdict.ts';

type Applied = Extract<CommitResult, { ok: true }>;

/** How often what was read beforehand may turn out to have changed in between. */
const MOST_ROUNDS = 8;

/** Milliseconds. Consul does not tell how much of a lock-delay is left, and nothing announces its end. */
const DELAY_RETRY = 1_000;

/**
 * Commits by `/v1/txn`. Consul has no conditions for "unowned" and no read that takes absence for an answer: those are
 * read first, and the transaction then insists on what was read. Everything else is one round trip.
 */
export class Commits {
  readonly #transport: Transport;
  readonly #reader: Reader;
  readonly #settings: Settings;
  readonly #lifetime: Lifetime;
  readonly #groups: Groups;
  readonly #path: string;
  /** The largest index seen in an answer. */
  #latest: Revision = 0n;

  constructor(lifetime: Lifetime, transport: Transport, reader: Reader, settings: Settings) {
    this.#lifetime = lifetime;
    this.#transport = transport;
    this.#reader = reader;
    this.#settings = settings;
    const { datacenter } = settings;
    this.#path = `/txn?consistent${datacenter === undefined ? '' : `&dc=${encodeURIComponent(datacenter)}`}`;
    const host: GroupHost = {
      send: (body, signal) => transport.callNow(this.#request(body, signal)),
      indexes: (answer) => this.#indexes(answer),
      applied: (transaction, indexes, from) => this.#applied(transaction, transaction.plain, indexes, from),
      refusals: (answer) => this.#refusals(answer),
      alone: (transaction, signal, refusals) =>
        this.#lifetime.run(signal, (inner) => this.#run(transaction, inner, refusals)),
    };
    this.#groups = new Groups(host, transport.commands);
  }

  /** Checks the commit at once, before any I/O, and takes its values as they are now. */
  run(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const { count } = commit;
    return count === undefined ? this.#start(commit, signal) : this.#counted(commit, count, signal);
  }

  /** Consul cannot count without a read. */
  async #counted({ when, then }: Commit, prefix: string, signal: AbortSignal): Promise<CommitResult> {
    const result = await this.#start({ when, then, read: { prefix } }, signal);
    if (!result.ok) return result.why === 'conflict' ? { ok: false, why: 'conflict' } : result;
    return { ok: true, revision: result.revision, count: result.read?.length ?? 0 };
  }

  #start(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    const transaction = new Transaction(commit, this.#settings.lockFlags);
    if (transaction.isOfNobody) return Promise.resolve({ ok: false, why: 'session-gone' });
    if (isSharing(transaction) && !transaction.isHopeless) return this.#groups.join(transaction, signal);
    return this.#lifetime.run(signal, (inner) => this.#run(transaction, inner));
  }

  stop(): void {
    this.#groups.stop(stopped());
  }

  /** @param refusals what the first round came to, where that was sent before. */
  async #run(
    transaction: Transaction,
    signal: AbortSignal,
    refusals?: readonly Refusal[],
  ): Promise<CommitResult> {
    if (transaction.isHopeless) return this.#conflict(transaction, signal);
    const { plain } = transaction;
    const store = transaction.commit.then.length === 0 ? await this.#storeIndex(signal) : 0n;
    for (let round = 1; ; round++) {
      const known = await this.#look(transaction, signal);
      if (known === undefined) return this.#conflict(transaction, signal);
      const request = plain ?? transaction.request(known);
      let refused = round === 1 ? refusals : undefined;
      if (refused === undefined) {
        const answer = await this.#send(`[${request.operations}]`, signal);
        if (answer.status === 200) return this.#found(transaction, request, answer, store);
        refused = this.#refusals(answer);
      }
      const verdict = judge(refused, request.guesses);
      switch (verdict.why) {
        case 'session-gone':
          return { ok: false, why: 'session-gone' };
        case 'delayed':
          return { ok: false, why: 'delayed', retryAfter: DELAY_RETRY };
        case 'conflict':
          return this.#conflict(transaction, signal);
        case 'outdated':
          if (round >= MOST_ROUNDS) return this.#conflict(transaction, signal);
          break;
        case 'denied':
        case 'rejected':
          throw this.#failure(verdict);
      }
    }
  }

  /** What must be known first; nothing when an owner makes the commit impossible. */
  async #look(
    { commit, unknown }: Transaction,
    signal: AbortSignal,
  ): Promise<Map<string, Entry | undefined> | undefined> {
    const reads = unknown.map(async (key) => {
      const { entries } = await this.#read({ text: key, tree: false }, signal);
      return [key, entries[0]] as const;
    });
    const known = new Map(await Promise.all(reads));
    const owned = commit.when.some(
      (condition) => condition.is === 'unowned' && known.get(condition.key)?.session,
    );
    return owned ? undefined : known;
  }

  #send(body: string, signal: AbortSignal): Promise<Answer> {
    return this.#transport.call(this.#request(body, signal));
  }

  #request(body: string, signal: AbortSignal): Call {
    return { lane: 'commands', method: 'PUT', path: this.#path, body, signal };
  }

  #refusals(answer: Answer): Refusal[] {
    if (answer.status !== 409) throw this.#transport.refuse(answer);
    const refusals = refusalsIn(this.#parse(answer));
    // Consul always says which operation failed. Whoever does not may have passed on what it was asked.
    if (refusals.length === 0) throw new SyncError('rejected', this.#said('without a reason'));
    return refusals;
  }

  #results(answer: Answer): Entry[] {
    const results = resultsIn(this.#parse(answer));
    if (results === undefined) throw this.#bad();
    return results;
  }

  #indexes(answer: Answer): readonly bigint[] {
    return indexesIn(answer.body) ?? this.#results(answer).map(({ modified }) => modified);
  }

  #found(transaction: Transaction, request: Request, answer: Answer, store: Revision): CommitResult {
    if (store > this.#latest) this.#latest = store;
    const { read } = transaction.commit;
    if (read === undefined) return this.#applied(transaction, request, this.#indexes(answer), 0);
    const results = this.#results(answer);
    const indexes = results.map(({ modified }) => modified);
    const applied = this.#applied(transaction, request, indexes, 0, indexes.length);
    return { ...applied, read: this.#records(select(read, results.slice(request.readFrom))) };
  }

  /** @param indexes of the records in the results, of which those of this commit begin at `from`. */
  #applied(
    { commit: { when } }: Transaction,
    { writtenFrom, readFrom }: Request,
    indexes: readonly bigint[],
    from: number,
    end = from + readFrom,
  ): Applied {
    if (indexes.length < from + readFrom) throw this.#bad();
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
      if (error instanceof SyncError && error.code === 'permission-denied') return 0n;
      throw error;
    }
  }

  /** Before a transaction, or after one that was refused: nothing is done when this fails. */
  #read(target: Target, signal: AbortSignal): Promise<Listing> {
    return reading(signal, this.#reader.read(target, { lane: 'commands', signal }));
  }

  #records(entries: readonly Entry[]): StoredRecord[] {
    return entries.map((entry) => recordOf(entry, this.#settings.lockFlags));
  }

  #failure({ why, text }: { why: 'denied' | 'rejected'; text: string }): SyncError {
    const said = this.#said(text);
    return why === 'denied'
      ? new SyncError('permission-denied', `${said}: check the token and its policies`, REFUSED)
      : new SyncError('rejected', said, REFUSED);
  }

  #said(text: string): string {
    return `Consul at ${this.#transport.address} refused a transaction (${this.#transport.shown(text)})`;
  }

  #parse({ body }: Answer): unknown {
    try {
      return parseExact(body);
    } catch {
      throw this.#bad();
    }
  }

  #bad(): SyncError {
    const { address } = this.#transport;
    return new SyncError(
      'bad-response',
      `what ${address} answered is no result of a transaction: is that Consul?`,
    );
  }
}

function isSharing(transaction: Transaction): transaction is Sharing {
  return transaction.plain !== undefined;
}
