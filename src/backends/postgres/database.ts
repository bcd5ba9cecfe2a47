import { SettleOnce } from '../../async/settle-once.ts';
import { refused, SyncError } from '../../contract/errors.ts';
import { lateAfter } from '../kit/late.ts';
import { isAnswer, syncErrorOf } from './errors.ts';

/** What a statement gives, row by row. Numbers that may be large, and bytes, are asked for as text. */
export type Row = Readonly<Record<string, unknown>>;

/** Runs one statement, with `$1` and so on for its values, and gives its rows. */
export type Query = (text: string, values: readonly unknown[]) => Promise<readonly Row[]>;

/** What is needed of a pool of the package pg, or of another one that has the same. */
export interface PoolLike {
  connect(): Promise<ClientLike>;
}

export interface ClientLike {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
  /** With an error the connection is thrown away. */
  release(error?: Error | boolean): void;
  on?(event: 'error', listener: (error: Error) => void): unknown;
  off?(event: 'error', listener: (error: Error) => void): unknown;
}

export interface Message {
  readonly channel: string;
  readonly payload?: string | undefined;
}

/** A connection that is ours alone, to listen on. */
export interface ListenerLike {
  connect(): Promise<unknown>;
  query(text: string): Promise<unknown>;
  on(event: 'notification', listener: (message: Message) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  end(): Promise<void>;
}

/** Renewals wait for nothing else. */
export type Lane = 'work' | 'sessions';

export interface Pools extends Record<Lane, () => Promise<PoolLike>> {
  end(): Promise<void>;
}

/** How statements get there. */
export type Way = { readonly query: Query } | Pools;

/** Statements, each with a bound in time, on the connections of a pool. */
export class Database {
  readonly #run: (
    text: string,
    values: readonly unknown[],
    lane: Lane,
    call: SettleOnce<readonly Row[]>,
  ) => void;
  readonly #end: () => Promise<void>;
  readonly #timeout: number;
  readonly #schema: string;
  readonly #under = new Set<SettleOnce<readonly Row[]>>();
  /** After how many moves a connection was met first. */
  readonly #met = new WeakMap<ClientLike, number>();
  #moves = 0;
  #closed = false;

  constructor(via: Way, schema: string, timeout: number) {
    this.#schema = schema;
    this.#timeout = timeout;
    this.#end = 'query' in via ? async () => {} : () => via.end();
    this.#run =
      'query' in via
        ? (text, values, _, call) => this.#byFunction(via.query, text, values, call)
        : (text, values, lane, call) => void this.#byPool(via[lane], text, values, call);
  }

  /** Rejects with a `SyncError`, or with what Postgres said. */
  query(text: string, values: readonly unknown[], lane: Lane = 'work'): Promise<readonly Row[]> {
    const call = new SettleOnce<readonly Row[]>();
    if (this.#closed) return Promise.reject(stopped());
    this.#under.add(call);
    const undo = lateAfter(this.#timeout, () => {
      call.reject(new SyncError('unavailable', `Postgres did not answer within ${this.#timeout} ms`));
    });
    call.finally(() => {
      undo();
      this.#under.delete(call);
    });
    this.#run(text, values, lane, call);
    return call.promise;
  }

  /** Whoever still waits is told. Resolves when no connection of ours is left. */
  async end(): Promise<void> {
    this.#closed = true;
    for (const call of [...this.#under]) call.reject(stopped());
    await this.#end();
  }

  /** Another primary has answered: what is connected by now may lead to the one before, for as long as that lives. */
  moved(): void {
    this.#moves += 1;
  }

  async #connect(pool: PoolLike): Promise<ClientLike> {
    for (;;) {
      const client = await pool.connect();
      const met = this.#met.get(client) ?? this.#moves;
      this.#met.set(client, met);
      if (met === this.#moves) return client;
      client.release(new Error('given up'));
    }
  }

  #byFunction(
    query: Query,
    text: string,
    values: readonly unknown[],
    call: SettleOnce<readonly Row[]>,
  ): void {
    const asked = (async () => query(text, values))();
    asked.then(
      (rows) => (Array.isArray(rows) ? call.resolve(rows) : call.reject(noRows())),
      (error: unknown) => call.reject(error),
    );
  }

  async #byPool(
    pool: () => Promise<PoolLike>,
    text: string,
    values: readonly unknown[],
    call: SettleOnce<readonly Row[]>,
  ): Promise<void> {
    let client: ClientLike;
    try {
      client = await this.#connect(await pool());
    } catch (error) {
      call.reject(syncErrorOf(error, this.#schema, false));
      return;
    }
    if (call.settled) {
      client.release();
      return;
    }
    // Nobody waits for it any more: what it says later must not be taken for the answer to something else.
    let out = false;
    // An error that comes while nothing is asked would end the process. What is asked is told by itself.
    client.on?.('error', nothing);
    const giveBack = (broken?: Error): void => {
      if (out) return;
      out = true;
      client.release(broken);
      // Of one that is thrown away there may be more to come.
      if (broken === undefined) client.off?.('error', nothing);
    };
    call.finally(() => {
      if (!out) giveBack(new Error('given up'));
    });
    try {
      const { rows } = await client.query(text, [...values]);
      giveBack();
      call.resolve(rows as Row[]);
    } catch (error) {
      giveBack(isAnswer(error) ? undefined : (error as Error));
      call.reject(error);
    }
  }
}

function nothing(): void {}

function noRows(): SyncError {
  const hint = 'with pg, `async (text, values) => (await pool.query(text, values)).rows`';
  return new SyncError('bad-response', `postgres option "query" must give an array of rows: ${hint}`);
}

function stopped(): SyncError {
  return refused('stopped', 'the postgres backend was disposed');
}
