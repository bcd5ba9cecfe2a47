import type {
  BackendTraits,
  Commit,
  CommitResult,
  Cursor,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
} from '../../contract/backend.ts';
import { OVER, type SyncError } from '../../contract/errors.ts';
import type { KeyRules } from '../../contract/validate.ts';
import type { Cancel, Done, Driver, Lane, News } from '../kit/driver.ts';
import { connectionsOf } from './connection.ts';
import { keyProblem, prefixProblem } from './keys.ts';
import type { Settings } from './options.ts';
import { Reader } from './reader.ts';
import { recordOf } from './record.ts';
import { cursorAfter, cursorOf, type Listing, select, targetOf } from './scope.ts';
import { LONGEST_LOCK_DELAY, LONGEST_TTL, Sessions } from './sessions.ts';
import {
  LARGEST_REQUEST,
  MAX_OPERATIONS,
  MAX_VALUE_BYTES,
  MOST_OPERATIONS,
  Transaction,
} from './transaction.ts';
import { Transactions } from './transactions.ts';
import { Transport } from './transport.ts';
import { REREADS } from './watch.ts';
import { Watches } from './watches.ts';

export class ConsulDriver implements Driver<Transaction> {
  readonly traits: BackendTraits;
  readonly keys: KeyRules = { keyProblem, prefixProblem };
  readonly lanes: { readonly writes: Lane; readonly reads: Lane };
  readonly #lockFlags: bigint;
  readonly #transport: Transport;
  readonly #reader: Reader;
  readonly #sessions: Sessions;
  readonly #transactions: Transactions;
  readonly #watches: Watches;

  constructor(settings: Settings) {
    const { sessionTtlMin, lockFlags, maxConnections } = settings;
    this.#lockFlags = lockFlags;
    this.#transport = new Transport(settings);
    this.#reader = new Reader(this.#transport);
    this.#sessions = new Sessions(this.#transport, settings);
    this.#transactions = new Transactions(this.#transport, this.#reader, lockFlags);
    this.#watches = new Watches(this.#reader, connectionsOf(maxConnections).watches);
    const { commands: window } = this.#transport;
    // The brackets and commas around the operations are in the limit.
    const bytes = LARGEST_REQUEST - MOST_OPERATIONS;
    this.lanes = {
      writes: { window, limits: { cost: MOST_OPERATIONS, bytes } },
      reads: { window, limits: { cost: 1, bytes } },
    };
    this.traits = {
      name: 'consul',
      contention: 'race',
      ttl: { min: sessionTtlMin, max: LONGEST_TTL },
      maxLockDelay: LONGEST_LOCK_DELAY,
      maxValueBytes: MAX_VALUE_BYTES,
      maxOperations: MAX_OPERATIONS,
      fencing: 'durable',
      wakes: 'pushed',
      rereads: REREADS,
    };
  }

  lockPath(key: string): string {
    return key;
  }

  open(options: SessionOptions, signal: AbortSignal): Promise<{ id: string; ttl: number }> {
    return this.#sessions.open(options, signal);
  }

  renew(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    return this.#sessions.renew(id, signal);
  }

  close(id: string, signal: AbortSignal): Promise<void> {
    return this.#sessions.close(id, signal);
  }

  prepare(commit: Commit): Transaction {
    return new Transaction(commit, this.#lockFlags);
  }

  write(transactions: readonly Transaction[], done: Done<CommitResult>): Cancel {
    const [first] = transactions;
    return first?.alone
      ? working((signal) => this.#transactions.alone(first, signal), done)
      : this.#transactions.together(transactions, done);
  }

  read([scope]: readonly Scope[], done: Done<QueryResult>): Cancel {
    return working((signal) => this.#look(scope as Scope, signal), done);
  }

  follow(scope: Scope, since: Cursor, news: (news: News) => void): Cancel {
    return this.#watches.follow(scope, since, (outcome) => {
      if ('error' in outcome) news({ why: 'failed', error: outcome.error });
      else if (outcome.listing === undefined) news({ why: 'changed' });
      else news({ why: 'shown', shown: this.#shown(scope, outcome.listing) });
    });
  }

  positionOf(_key: string, revision: Revision): Cursor {
    return cursorAfter(revision);
  }

  async end(): Promise<void> {
    this.#watches.end();
    await this.#transport.close();
  }

  async #look(scope: Scope, signal: AbortSignal): Promise<QueryResult> {
    return this.#shown(scope, await this.#reader.read(targetOf(scope), { lane: 'commands', signal }));
  }

  #shown(scope: Scope, listing: Listing): QueryResult {
    const records = select(scope, listing.entries).map((entry) => recordOf(entry, this.#lockFlags));
    return { records, at: cursorOf(scope, listing) };
  }
}

/** One request by work that rejects with `SyncError`s only. */
function working<A>(work: (signal: AbortSignal) => Promise<A>, done: Done<A>): Cancel {
  const controller = new AbortController();
  work(controller.signal).then(
    (answer) => done([answer]),
    (error: SyncError) => done(error),
  );
  return () => controller.abort(OVER);
}
