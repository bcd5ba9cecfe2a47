import type {
  Backend,
  BackendTraits,
  Commit,
  CommitResult,
  Cursor,
  QueryOptions,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
} from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';
import {
  checkCommit,
  checkKey,
  checkScope,
  checkSession,
  checkWait,
  type Limits,
} from '../../contract/validate.ts';
import { reading } from '../kit/reading.ts';
import { Commits } from './commits.ts';
import { Hub } from './hub.ts';
import { keyProblem, prefixProblem } from './keys.ts';
import { Lifetime } from './lifetime.ts';
import type { Settings } from './options.ts';
import { Reader } from './reader.ts';
import { recordOf } from './record.ts';
import { cursorAfter, cursorOf, type Listing, select, targetOf } from './scope.ts';
import { LONGEST_LOCK_DELAY, LONGEST_TTL, Sessions } from './sessions.ts';
import { MAX_OPERATIONS, MAX_VALUE_BYTES } from './transaction.ts';
import { connectionsOf, Transport } from './transport.ts';
import { REREADS } from './watch.ts';

/** Milliseconds that a query blocks when it is not told. */
const DEFAULT_WAIT = 60_000;

const limits: Limits = {
  maxValueBytes: MAX_VALUE_BYTES,
  maxOperations: MAX_OPERATIONS,
  keyProblem,
  prefixProblem,
};

export class ConsulBackend implements Backend {
  readonly traits: BackendTraits;
  readonly #settings: Settings;
  readonly #lifetime = new Lifetime();
  readonly #transport: Transport;
  readonly #reader: Reader;
  readonly #sessions: Sessions;
  readonly #commits: Commits;
  readonly #hub: Hub;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#transport = new Transport(settings);
    this.#reader = new Reader(this.#transport, settings.requestTimeout, settings.datacenter);
    this.#sessions = new Sessions(this.#transport, settings);
    this.#commits = new Commits(this.#lifetime, this.#transport, this.#reader, settings);
    this.#hub = new Hub(this.#reader, connectionsOf(settings.maxConnections).watches);
    this.traits = {
      name: 'consul',
      contention: 'race',
      ttl: { min: settings.sessionTtlMin, max: LONGEST_TTL },
      maxLockDelay: LONGEST_LOCK_DELAY,
      maxValueBytes: limits.maxValueBytes,
      maxOperations: limits.maxOperations,
      fencing: 'durable',
      wakes: 'pushed',
      rereads: REREADS,
    };
  }

  lockPath(key: string): string {
    checkKey(key, limits);
    return key;
  }

  async openSession(options: SessionOptions, signal: AbortSignal): Promise<{ id: string; ttl: number }> {
    return this.#lifetime.run(signal, (inner) => {
      checkSession(options, this.traits);
      return this.#sessions.open(options, inner);
    });
  }

  async renewSession(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    return this.#lifetime.run(signal, (inner) => this.#sessions.renew(id, inner));
  }

  async closeSession(id: string, signal: AbortSignal): Promise<void> {
    return this.#lifetime.run(signal, (inner) => this.#sessions.close(id, inner));
  }

  commit(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    try {
      this.#lifetime.check(signal);
      checkCommit(commit, limits);
      const committing = this.#commits.run(commit, signal);
      return commit.then.length === 0 ? reading(signal, committing) : committing;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async query(scope: Scope, { since, wait = DEFAULT_WAIT, signal }: QueryOptions): Promise<QueryResult> {
    const query = async (inner: AbortSignal): Promise<QueryResult> => {
      checkScope(scope, limits);
      checkWait(wait);
      const listing =
        since === undefined || wait === 0 ? undefined : await this.#hub.wait(scope, since, wait, inner);
      return this.#answer(
        scope,
        listing ?? (await this.#reader.read(targetOf(scope), { lane: 'commands', signal: inner })),
      );
    };
    return reading(signal, this.#lifetime.run(signal, query));
  }

  watch(key: string, since: Cursor, wake: (error?: SyncError) => void): () => void {
    checkKey(key, limits);
    return this.#hub.watch({ key }, since, wake);
  }

  positionOf(_key: string, revision: Revision): Cursor {
    return cursorAfter(revision);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#commits.stop();
    await this.#lifetime.stop();
    this.#hub.close();
    await this.#transport.close();
  }

  #answer(scope: Scope, listing: Listing): QueryResult {
    const records = select(scope, listing.entries).map((entry) => recordOf(entry, this.#settings.lockFlags));
    return { records, at: cursorOf(scope, listing) };
  }
}
