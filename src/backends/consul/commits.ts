import { randomUUID } from 'node:crypto';
import {
  type Commit,
  type CommitResult,
  type Revision,
  type StoredRecord,
  SyncError,
} from '../../sync/backend.ts';
import type { Answer } from './client.ts';
import { Group } from './group.ts';
import type { Settings } from './options.ts';
import type { Reader } from './reader.ts';
import { type Entry, entryOf, parseExact, recordOf } from './record.ts';
import { select, targetOf } from './scope.ts';
import { isSessionId } from './sessions.ts';
import { type Request, Transaction } from './transaction.ts';
import type { Transport } from './transport.ts';
import { judge, refusalsIn } from './verdict.ts';

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
  readonly #group: Group;
  /** The largest index seen in an answer. */
  #latest: Revision = 0n;

  constructor(transport: Transport, reader: Reader, settings: Settings) {
    this.#transport = transport;
    this.#reader = reader;
    this.#settings = settings;
    this.#group = new Group({
      send: (body, signal) => this.#send(body, signal),
      results: (answer) => this.#results(answer),
      refused: (answer) => {
        if (answer.status !== 409) throw this.#transport.refuse(answer);
        return refusalsIn(this.#parse(answer)).map(({ index }) => index);
      },
    });
  }

  /** Checks the commit at once, before any I/O, and takes its values as they are now. */
  prepare(commit: Commit): Transaction {
    return new Transaction(commit, this.#settings.lockFlags);
  }

  async run(transaction: Transaction, signal: AbortSignal): Promise<CommitResult> {
    if (!transaction.sessions.every(isSessionId)) return { ok: false, why: 'session-gone' };
    if (transaction.isHopeless) return this.#conflict(transaction, signal);
    const { plain } = transaction;
    if (plain !== undefined) {
      const fate = await this.#group.join(plain, signal);
      if (fate !== 'alone') return this.#applied(transaction, plain, fate, 0n);
    }
    const store = transaction.commit.then.length === 0 ? await this.#storeIndex(signal) : 0n;
    for (let round = 1; ; round++) {
      const { unknown, doubtful } = transaction;
      const known = await this.#look(transaction, round === 1 ? unknown : [...unknown, ...doubtful], signal);
      if (known === undefined) return this.#conflict(transaction, signal);
      const request = round === 1 && plain !== undefined ? plain : transaction.request(known);
      const answer = await this.#send(request.body, signal);
      if (answer.status === 200) return this.#applied(transaction, request, this.#results(answer), store);
      if (answer.status !== 409) throw this.#transport.refuse(answer);
      const verdict = judge(this.#parse(answer), request.guesses);
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
    { commit }: Transaction,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<Map<string, Entry | undefined> | undefined> {
    const reads = keys.map(async (key) => {
      const { entries } = await this.#reader.read({ text: key, tree: false }, { lane: 'commands', signal });
      return [key, entries[0]] as const;
    });
    const known = new Map(await Promise.all(reads));
    const owned = commit.when.some(
      (condition) => 'is' in condition && condition.is === 'unowned' && known.get(condition.key)?.session,
    );
    return owned ? undefined : known;
  }

  #send(body: string, signal: AbortSignal): Promise<Answer> {
    const { datacenter } = this.#settings;
    const path = `/txn?consistent${datacenter === undefined ? '' : `&dc=${encodeURIComponent(datacenter)}`}`;
    return this.#transport.call({ lane: 'commands', method: 'PUT', path, body, signal });
  }

  #results(answer: Answer): Entry[] {
    const results = resultsIn(this.#parse(answer));
    if (results === undefined) throw this.#bad();
    return results;
  }

  #applied(
    transaction: Transaction,
    request: Request,
    results: readonly Entry[],
    store: Revision,
  ): CommitResult {
    if (results.length < request.readFrom) throw this.#bad();
    const written = request.written.map((index) => results[index]?.modified ?? 0n);
    const { read } = transaction.commit;
    const found = read === undefined ? [] : results.slice(request.readFrom);
    const proven = transaction.commit.when.map((condition) =>
      'revision' in condition ? condition.revision : 0n,
    );
    this.#latest = max([this.#latest, store, ...proven, ...results.map(({ modified }) => modified)]);
    // A removal leaves no record to tell an index of: then it is one that the store had reached before.
    const revision = written.length > 0 ? max(written) : this.#latest;
    return read === undefined
      ? { ok: true, revision }
      : { ok: true, revision, read: this.#records(select(read, found)) };
  }

  /** A refused transaction reads nothing, so this is read after it, and may be newer than what was refused. */
  async #conflict({ commit: { read } }: Transaction, signal: AbortSignal): Promise<CommitResult> {
    if (read === undefined) return { ok: false, why: 'conflict' };
    const { entries } = await this.#reader.read(targetOf(read), { lane: 'commands', signal });
    return { ok: false, why: 'conflict', read: this.#records(select(read, entries)) };
  }

  /** Asked before the transaction, so that whatever changes after it has a larger index. */
  async #storeIndex(signal: AbortSignal): Promise<Revision> {
    // For a prefix with nothing below it, and no trace of anything, Consul tells the index of the whole store.
    const nowhere = { text: `holdfast-${randomUUID()}`, tree: true };
    try {
      const { index } = await this.#reader.read(nowhere, { lane: 'commands', signal });
      return index;
    } catch (error) {
      // With `acl.enable_key_list_policy` that may not be ours to list, which is no reason to refuse the commit.
      if (error instanceof SyncError && error.code === 'permission-denied') return 0n;
      throw error;
    }
  }

  #records(entries: readonly Entry[]): StoredRecord[] {
    return entries.map((entry) => recordOf(entry, this.#settings.lockFlags));
  }

  #failure({ why, text }: { why: 'denied' | 'rejected'; text: string }): SyncError {
    const said = `Consul at ${this.#transport.address} refused a transaction (${this.#transport.shown(text)})`;
    return why === 'denied'
      ? new SyncError('permission-denied', `${said}: check the token and its policies`)
      : new SyncError('rejected', said);
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

function resultsIn(parsed: unknown): Entry[] | undefined {
  const { Results } = (parsed ?? {}) as { readonly Results?: unknown };
  // Go tells an empty list as null in some versions.
  if (Results === null) return [];
  if (!Array.isArray(Results)) return undefined;
  return Results.map((result) => entryOf((result as { readonly KV?: unknown } | null)?.KV));
}

function max(values: readonly bigint[]): bigint {
  let largest = 0n;
  for (const value of values) if (value > largest) largest = value;
  return largest;
}
