import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import type {
  Backend,
  Commit,
  CommitResult,
  Cursor,
  QueryResult,
  Revision,
  Scope,
  StoredRecord,
} from '../../contract/backend.ts';
import type { ConformancePause, ConformanceSubject } from './subject.ts';
import { turn, within } from './timing.ts';

/** Milliseconds. */
const DEFAULT_PATIENCE = 10_000;
/** Long enough that no session ends by itself in a case that is not about expiry. */
const LASTING_TTL = 60_000;
/** Records that are removed at a time. */
const CLEARED = 16;
/** A wait that returns more often than this for one change is a busy loop. */
const MOST_WAKES = 1000;

type Applied = Extract<CommitResult, { ok: true }>;

/** What one case works with, and what it leaves behind is taken away here. */
export class Bench {
  readonly subject: ConformanceSubject;
  readonly prefix: string;
  readonly patience: number;
  /** How many its clients have made, where the subject tells. */
  steps = 0;
  readonly #abort = new AbortController();
  readonly #clients: Backend[] = [];
  readonly #sessions = new Set<string>();
  readonly #prefixes = new Set<string>();

  /** Runs the case against a fresh bench; a failure to clean up fails it as well. */
  static async run(subject: ConformanceSubject, check: (bench: Bench) => Promise<void>): Promise<void> {
    const bench = new Bench(subject);
    const limit = 5 * bench.patience + 3 * bench.expiry;
    let failure: { readonly error: unknown } | undefined;
    try {
      await within(limit, 'the case', check(bench));
    } catch (error) {
      failure = { error };
    }
    try {
      await within(bench.patience, 'cleaning up', bench.#clear());
    } catch (error) {
      failure ??= { error };
    }
    if (failure !== undefined) throw failure.error;
  }

  private constructor(subject: ConformanceSubject) {
    this.subject = subject;
    this.prefix = subject.prefix();
    setMaxListeners(0, this.#abort.signal);
    this.patience = subject.patience ?? DEFAULT_PATIENCE;
    this.#prefixes.add(this.prefix);
    assert.ok(this.prefix.endsWith('/'), 'prefix() must end with a slash');
  }

  /** Aborts when the case is over. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The latest that a server may end a session of the shortest TTL, in milliseconds after its last renewal. */
  get expiry(): number {
    return this.subject.sessionTtl * this.subject.expiryFactor + this.patience;
  }

  key(name: string): string {
    return this.prefix + name;
  }

  async client(stop: ConformancePause = unstopped): Promise<Backend> {
    const pause: ConformancePause = (step) => {
      this.steps++;
      return stop(step);
    };
    const client = await this.subject.open({ pause });
    this.#clients.push(client);
    return client;
  }

  /** Records put below this prefix are removed as well. */
  alsoClear(prefix: string): void {
    this.#prefixes.add(prefix);
  }

  async session(client: Backend, options: { ttl?: number; lockDelay?: number } = {}): Promise<string> {
    const { id } = await this.openSession(client, options);
    return id;
  }

  async openSession(
    client: Backend,
    { ttl = Math.max(LASTING_TTL, this.subject.sessionTtl), lockDelay = 0 } = {},
  ): Promise<{ id: string; ttl: number }> {
    const session = await client.openSession({ name: 'conformance', ttl, lockDelay }, this.signal);
    this.#sessions.add(session.id);
    return session;
  }

  commit(client: Backend, { when = [], then = [], ...rest }: Partial<Commit>): Promise<CommitResult> {
    return client.commit({ when, then, ...rest }, this.signal);
  }

  /** The same, of a commit that must be applied. */
  async apply(client: Backend, commit: Partial<Commit>): Promise<Applied> {
    const result = await this.commit(client, commit);
    assert.ok(result.ok, `the commit was not applied: ${JSON.stringify(result, bigintAsText)}`);
    return result;
  }

  async put(client: Backend, key: string, text = '', session?: string): Promise<Revision> {
    const put = { put: key, value: bytes(text) };
    const { revision } = await this.apply(client, {
      then: [session === undefined ? put : { ...put, session }],
    });
    return revision;
  }

  async remove(client: Backend, key: string): Promise<void> {
    await this.apply(client, { then: [{ remove: key }] });
  }

  query(client: Backend, scope: Scope): Promise<QueryResult> {
    return client.query(scope, { signal: this.signal });
  }

  /** A query that must not end by its `wait` while a case has patience. */
  block(client: Backend, scope: Scope, since: Cursor, signal = this.signal): Promise<QueryResult> {
    return client.query(scope, { since, wait: 3 * this.patience, signal });
  }

  /** Blocks as who is woken for nothing blocks again: until a query rejects. */
  async blockOn(client: Backend, scope: Scope, from: Cursor, signal = this.signal): Promise<never> {
    let at = from;
    for (let wakes = 0; wakes < MOST_WAKES; wakes++) {
      ({ at } = await this.block(client, scope, at, signal));
      await turn();
    }
    return assert.fail(`woken ${MOST_WAKES} times`);
  }

  async get(client: Backend, key: string): Promise<StoredRecord | undefined> {
    const { records } = await this.query(client, { key });
    assert.ok(records.length <= 1, 'one key, one record');
    return records[0];
  }

  async list(client: Backend, scope: Scope): Promise<string[]> {
    return names((await this.query(client, scope)).records);
  }

  /** Follows a scope by blocking queries alone until what it shows satisfies the test. */
  async follow(
    client: Backend,
    scope: Scope,
    from: Cursor,
    test: (records: readonly StoredRecord[]) => boolean,
    ms = this.patience,
  ): Promise<QueryResult> {
    let over = false;
    const loop = async () => {
      let at = from;
      for (let wakes = 0; wakes < MOST_WAKES && !over; wakes++) {
        const result = await this.block(client, scope, at);
        if (test(result.records)) return result;
        at = result.at;
        await turn();
      }
      return assert.fail(`woken ${MOST_WAKES} times without the change`);
    };
    try {
      return await within(ms, 'a blocked query must show the change', loop());
    } finally {
      over = true;
    }
  }

  /** Records go before sessions, because of lock-delays. */
  async #clear(): Promise<void> {
    this.#abort.abort(new Error('the case is over'));
    const { signal } = new AbortController();
    const client = await this.subject.open({ pause: unstopped });
    try {
      for (const prefix of this.#prefixes) {
        const { records } = await client.query({ prefix }, { signal });
        for (let from = 0; from < records.length; from += CLEARED) {
          const then = records.slice(from, from + CLEARED).map(({ key }) => ({ remove: key }));
          await client.commit({ when: [], then }, signal);
        }
      }
      for (const id of this.#sessions) await client.closeSession(id, signal);
    } finally {
      for (const each of [...this.#clients, client]) await each[Symbol.asyncDispose]();
    }
  }
}

async function unstopped(): Promise<void> {}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(record: StoredRecord | undefined): string | undefined {
  return record === undefined ? undefined : new TextDecoder().decode(record.value);
}

/** The keys of records, without the part up to the last slash. */
export function names(records: readonly StoredRecord[]): string[] {
  return records.map(({ key }) => key.slice(key.lastIndexOf('/') + 1));
}

function bigintAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}
