import { refused, type SyncError } from '../../contract/errors.ts';
import type { Database, ListenerLike, Row } from './database.ts';
import { isStale, syncErrorOf } from './errors.ts';
import { Interests } from './interests.ts';
import { Notices } from './notices.ts';
import { quoteName, VERSION } from './schema/install.ts';

/** Where the notices stood at a moment. */
export interface Listened {
  readonly epoch: string | undefined;
  readonly notices: number;
}

/** The database as this process knows it: who it is, what it tells, what is to be buried there. */
export class Server {
  /** As it stands in a statement. */
  readonly schema: string;
  readonly notices: Notices | undefined;
  readonly interests: Interests | undefined;
  readonly #name: string;
  readonly #database: Database;
  readonly #closePool: () => Promise<void>;
  #timeline: Promise<string> | undefined;
  readonly #burying = new Set<Promise<unknown>>();
  #over = false;

  constructor(
    name: string,
    database: Database,
    listen: (() => Promise<ListenerLike>) | undefined,
    closePool: () => Promise<void>,
  ) {
    this.#name = name;
    this.#closePool = closePool;
    this.schema = quoteName(name);
    this.#database = database;
    if (listen === undefined) return;
    this.notices = new Notices(listen, quoteName(name));
    this.interests = new Interests({
      schema: this.schema,
      query: (text, values) => this.query(text, values),
      count: () => this.position.notices,
    });
  }

  get position(): Listened {
    return this.notices?.position ?? NOWHERE;
  }

  async query(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    await this.#known();
    return this.#database.query(text, values);
  }

  /** A function that takes the timeline as its first argument, and gives one value. */
  call(name: string, values: readonly unknown[], as: string): Promise<readonly Row[]> {
    const args = values.map((_, n) => `$${n + 2}`).join(', ');
    return this.select('*', name, args, values, as);
  }

  /** One that gives rows. What was refused for its timeline is asked once more, of whom it is now. */
  async select(
    fields: string,
    name: string,
    args: string,
    values: readonly unknown[],
    as = '',
  ): Promise<readonly Row[]> {
    const text = `SELECT ${fields} FROM ${this.schema}.${name}_1($1, ${args}) ${as}`;
    const timeline = await this.#known();
    try {
      return await this.#database.query(text, [timeline, ...values]);
    } catch (error) {
      if (isStale(error)) this.#timeline = undefined;
      throw error;
    }
  }

  errorOf(error: unknown): SyncError {
    return syncErrorOf(error, this.#name, true);
  }

  /** Ends sessions that are past their time, these or any. Gives how many; never rejects. */
  bury(ids: readonly string[] | undefined): Promise<number> {
    if (this.#over) return Promise.resolve(0);
    const burying = this.call('bury', [ids ?? null], 'AS buried').then(
      ([row]) => Number(row?.buried ?? 0),
      () => 0,
    );
    this.#burying.add(burying);
    void burying.then(() => this.#burying.delete(burying));
    return burying;
  }

  async end(): Promise<void> {
    this.#over = true;
    await this.interests?.end();
    this.#database.close();
    await this.notices?.end();
    await Promise.all(this.#burying);
    await this.#closePool();
  }

  #known(): Promise<string> {
    this.#timeline ??= this.#hello().catch((error: unknown) => {
      this.#timeline = undefined;
      throw error;
    });
    return this.#timeline;
  }

  async #hello(): Promise<string> {
    let rows: readonly Row[];
    try {
      rows = await this.#database.query(`SELECT * FROM ${this.schema}.hello_1()`, []);
    } catch (error) {
      throw this.#nothingDone(error);
    }
    const [row] = rows;
    if (Number(row?.readable_from) > VERSION) {
      const problem = `is of version ${String(row?.version)}, which this version of holdfast cannot use: update holdfast`;
      throw refused('rejected', `the schema ${this.schema} ${problem}`);
    }
    return String(row?.timeline);
  }

  #nothingDone(error: unknown): SyncError {
    const { code, message } = this.errorOf(error);
    return refused(code, message);
  }
}

const NOWHERE: Listened = { epoch: undefined, notices: 0 };
