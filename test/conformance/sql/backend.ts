import type { ConformancePause } from 'holdfast/testing';
import { onAbort } from '../../../src/async/signal-listeners.ts';
import { textKeys } from '../../../src/backends/kit/keys.ts';
import { toRecord } from '../../../src/backends/memory/records.ts';
import type {
  Backend,
  BackendTraits,
  Commit,
  CommitResult,
  QueryOptions,
  QueryResult,
  Scope,
  SessionOptions,
} from '../../../src/contract/backend.ts';
import { type RequestOutcome, refused, SyncError } from '../../../src/contract/errors.ts';
import {
  checkCommit,
  checkKey,
  checkScope,
  checkSession,
  checkWait,
} from '../../../src/contract/validate.ts';
import { bury } from './bury.ts';
import { Commits, directoryOf, isQueue } from './commits.ts';
import type { Database } from './database.ts';
import type { Flaw } from './flaws.ts';
import { Transaction } from './transaction.ts';

/** Milliseconds. */
const LONGEST_WAIT = 60_000;

const TRAITS: BackendTraits = {
  name: 'sql',
  contention: 'queue',
  ttl: { min: 10, max: 86_400_000 },
  maxLockDelay: 0,
  maxValueBytes: 65_536,
  maxOperations: 128,
  fencing: 'durable',
  wakes: 'pushed',
};
const LIMITS = { ...TRAITS, ...textKeys };

/** One client of a database. What it does takes several statements, and it can be stopped after each. */
export class SqlBackend implements Backend {
  readonly traits = TRAITS;
  readonly #database: Database;
  readonly #pause: ConformancePause;
  readonly #flaw: Flaw | undefined;
  readonly #commits: Commits;
  readonly #under = new Set<() => void>();
  #disposed = false;

  constructor(database: Database, pause: ConformancePause, flaw?: Flaw) {
    this.#database = database;
    this.#pause = pause;
    this.#flaw = flaw;
    this.#commits = new Commits(database, pause, flaw);
  }

  lockPath(key: string): string {
    checkKey(key, LIMITS);
    if (key.split('/').includes('.lock')) throw refused('invalid-key', 'locks are kept under ".lock"');
    return `${key}/.lock/`;
  }

  async openSession(options: SessionOptions, signal: AbortSignal): Promise<{ id: string; ttl: number }> {
    checkSession(options, TRAITS);
    const { ttl } = options;
    return this.#call(signal, 'unknown', async () => {
      const id = this.#database.newSession();
      const transaction = new Transaction(this.#database, this.#pause);
      const expires = performance.now() + ttl;
      await transaction.statement('the session', () => transaction.setSession({ id, ttl, expires }));
      transaction.apply();
      return { id, ttl };
    });
  }

  async renewSession(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    return this.#call(signal, 'unknown', async () => {
      const transaction = new Transaction(this.#database, this.#pause);
      try {
        await transaction.lock([`session ${id}`]);
        const renewed = await transaction.statement('the renewal', () => {
          const session = this.#database.sessions.get(id);
          const now = performance.now();
          if (session === undefined) return false;
          if (session.expires <= now && this.#flaw !== 'renewals revive') return false;
          transaction.setSession({ ...session, expires: now + session.ttl });
          return true;
        });
        transaction.apply();
        transaction.end();
        if (!renewed) await bury(this.#database, this.#pause, id);
        return renewed ? 'renewed' : 'gone';
      } finally {
        transaction.end();
      }
    });
  }

  async closeSession(id: string, signal: AbortSignal): Promise<void> {
    return this.#call(signal, 'unknown', () => bury(this.#database, this.#pause, id, true));
  }

  async commit(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    checkCommit(commit, LIMITS);
    const outcome = commit.then.length === 0 ? 'refused' : 'unknown';
    return this.#call(signal, outcome, () => this.#commits.run(commit));
  }

  async query(scope: Scope, { since, wait = LONGEST_WAIT, signal }: QueryOptions): Promise<QueryResult> {
    checkScope(scope, LIMITS);
    checkWait(wait);
    return this.#call(signal, 'refused', async (over) => {
      if (since !== undefined) await this.#changed(scope, Number(since), Math.min(wait, LONGEST_WAIT), over);
      return this.#read(scope);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const stop of [...this.#under]) stop();
  }

  async #read(scope: Scope): Promise<QueryResult> {
    const transaction = new Transaction(this.#database, this.#pause);
    await this.#noteInterest(scope.key === undefined ? scope.prefix : directoryOf(scope.key));
    let at = this.#database.told;
    const rows = await transaction.statement('the read', () =>
      transaction.select(scope).filter((row) => !this.#hides(row.session)),
    );
    if (this.#flaw === 'listening after the read') at = this.#database.told;
    return { records: rows.map(toRecord), at: String(at) };
  }

  /** In a queue not while somebody goes through with a change of which he would not tell. */
  async #noteInterest(place: string): Promise<void> {
    const unlock = isQueue(place) ? await this.#database.lock(`queue ${place}`) : undefined;
    this.#database.noteInterest(place);
    unlock?.();
    await this.#pause('after the interest');
  }

  #hides(session: string | undefined): boolean {
    if (session === undefined || this.#flaw !== 'reads hide what is past its time') return false;
    return (this.#database.sessions.get(session)?.expires ?? 0) <= performance.now();
  }

  /** Until something in the scope was told of, or is past its time and buried. */
  async #changed(scope: Scope, since: number, wait: number, over: AbortSignal): Promise<void> {
    const isNews = (): boolean =>
      !(since <= this.#database.told) ||
      this.#database
        .toldSince(since)
        .some((key) => (scope.key === undefined ? key.startsWith(scope.prefix) : key === scope.key));
    const shown = this.#database.records.select(scope).flatMap(({ session }) => session ?? []);
    const ends = shown.map((id) => this.#database.sessions.get(id)?.expires ?? 0);
    const left = Math.min(...ends) - performance.now();
    await this.#pause('before listening');
    await new Promise<void>((resolve) => {
      const end = (): void => {
        unlisten();
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(end, Math.max(0, Math.min(wait, left + 1)));
      const unlisten = this.#database.listen(() => {
        if (isNews()) end();
      });
      over.addEventListener('abort', end, { once: true });
      if (isNews() || over.aborted) end();
    });
    if (!over.aborted) for (const id of new Set(shown)) await bury(this.#database, this.#pause, id);
  }

  /** It goes on at the server although nobody waits for it any more. */
  #call<T>(
    signal: AbortSignal,
    outcome: RequestOutcome,
    work: (over: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#disposed) throw stopped('refused');
    signal.throwIfAborted();
    const over = new AbortController();
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        unlisten();
        this.#under.delete(stop);
        over.abort();
        settle();
      };
      const stop = (): void => end(() => reject(stopped(outcome)));
      const unlisten = onAbort(signal, () => end(() => reject(signal.reason)));
      this.#under.add(stop);
      work(over.signal).then(
        (value) => end(() => resolve(value)),
        (error: unknown) => end(() => reject(error)),
      );
    });
  }
}

function stopped(outcome: RequestOutcome): SyncError {
  return new SyncError('stopped', 'the client was stopped', { outcome });
}
