import { createHash } from 'node:crypto';
import type { ClientLike, PoolLike } from './database.ts';
import { isNotPrepared } from './errors.ts';

/** As the package pg takes it. */
interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values: unknown[];
}

/** A client of the package pg, which keeps on its connection what has a name. */
export interface PreparingClientLike extends Omit<ClientLike, 'query'> {
  query(statement: Statement): Promise<{ rows: unknown[] }>;
}

export interface PreparingPoolLike {
  connect(): Promise<PreparingClientLike>;
}

/**
 * The database reads and plans each statement once for each connection. Behind a PgBouncer that hands a connection to another client
 * after each transaction, and keeps no account of statements (before 1.21), the database knows other ones than the client thinks: then
 * they go without names. A name says what the text is, so that none is ever taken for another one.
 */
export class PreparedPool implements PoolLike {
  readonly #pool: PreparingPoolLike;
  readonly #names = new Map<string, string>();
  readonly #clients = new WeakMap<PreparingClientLike, ClientLike>();
  #keeps = true;

  constructor(pool: PreparingPoolLike) {
    this.#pool = pool;
  }

  async connect(): Promise<ClientLike> {
    const client = await this.#pool.connect();
    let prepared = this.#clients.get(client);
    if (prepared === undefined) {
      prepared = {
        query: (text, values) => this.#query(client, text, values),
        release: (error) => client.release(error),
        on: (event, listener) => client.on?.(event, listener),
        off: (event, listener) => client.off?.(event, listener),
      };
      this.#clients.set(client, prepared);
    }
    return prepared;
  }

  async #query(client: PreparingClientLike, text: string, values: unknown[]): Promise<{ rows: unknown[] }> {
    if (!this.#keeps) return client.query({ text, values });
    try {
      return await client.query({ name: this.#nameOf(text), text, values });
    } catch (error) {
      if (!isNotPrepared(error)) throw error;
      // Said before anything was done.
      this.#keeps = false;
      return client.query({ text, values });
    }
  }

  #nameOf(text: string): string {
    let name = this.#names.get(text);
    if (name === undefined) {
      name = `holdfast-${createHash('sha256').update(text).digest('base64url').slice(0, 22)}`;
      this.#names.set(text, name);
    }
    return name;
  }
}
