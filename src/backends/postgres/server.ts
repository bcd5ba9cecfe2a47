import { refused, type SyncError } from '../../contract/errors.ts';
import type { Database, Lane, ListenerLike, Row } from './database.ts';
import { isNotDone, isStale, syncErrorOf } from './errors.ts';
import { Interests } from './interests.ts';
import { Notices } from './notices.ts';
import { quoteName } from './schema/install.ts';
import { timelineOf, USABLE } from './schema/usable.ts';

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
  #timeline: Promise<string> | undefined;
  #secret: string | undefined;
  #known: string | undefined;
  readonly #burying = new Set<Promise<unknown>>();
  #over = false;

  constructor(name: string, database: Database, listen: (() => Promise<ListenerLike>) | undefined) {
    this.#name = name;
    this.schema = quoteName(name);
    this.#database = database;
    if (listen === undefined) return;
    const notify = (channel: string) => database.query("SELECT pg_notify($1, '')", [channel]);
    this.notices = new Notices({ dial: listen, notify, secret: () => this.#secret }, name);
    this.interests = new Interests({
      schema: this.schema,
      watch: (...values) => this.surely(() => this.call('watch', values, '')),
      query: (text, values) => this.query(text, values),
      count: () => this.position.notices,
    });
  }

  get position(): Listened {
    return this.notices?.position ?? NOWHERE;
  }

  async query(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    await this.timeline();
    return this.#database.query(text, values);
  }

  /** A function that takes the timeline as its first argument, and gives one value. */
  call(name: string, values: readonly unknown[], as: string, lane: Lane = 'work'): Promise<readonly Row[]> {
    const args = values.map((_, n) => `$${n + 2}`).join(', ');
    return this.select('*', name, args, values, as, lane);
  }

  /** One that gives rows. Rejects with what Postgres said. */
  async select(
    fields: string,
    name: string,
    args: string,
    values: readonly unknown[],
    as = '',
    lane: Lane = 'work',
  ): Promise<readonly Row[]> {
    const text = `SELECT ${fields} FROM ${this.schema}.${name}_1($1, ${args}) ${as}`;
    const timeline = await this.timeline();
    try {
      return await this.#database.query(text, [timeline, ...values], lane);
    } catch (error) {
      if (isStale(error)) this.forgetTimeline();
      throw error;
    }
  }

  /** What is refused for its timeline, or in favour of another transaction, was not done: it is asked again. Rejects with a `SyncError`. */
  async surely<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await ask();
      } catch (error) {
        if (tries === MOST_TRIES || !(isStale(error) || isNotDone(error))) throw this.errorOf(error);
      }
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
    await Promise.all([this.#database.end(), this.notices?.end(), ...this.#burying]);
  }

  /** Opens a session, and learns in the same step whom it is open with: the time of a session begins before the first request. */
  async open(name: string, ttl: number): Promise<string> {
    // None is left where the schema turns out to be none of ours.
    const opened = `CASE WHEN ${USABLE} THEN ${this.schema}.open_1(h.timeline, $1, $2) END AS id`;
    const asked = this.#database.query(
      `SELECT h.*, ${opened} FROM ${this.schema}.hello_1() AS h`,
      [name, ttl],
      'sessions',
    );
    await this.#learn(asked);
    const [row] = await asked;
    return String(row?.id);
  }

  /** Of the primary that we talk to. Rejects with a `SyncError`. */
  timeline(): Promise<string> {
    return (
      this.#timeline ??
      this.#learn(this.#database.query(`SELECT * FROM ${this.schema}.hello_1()`, [], 'sessions'))
    );
  }

  /** It was another one. */
  forgetTimeline(): void {
    this.#timeline = undefined;
    this.#database.moved();
  }

  #learn(asked: Promise<readonly Row[]>): Promise<string> {
    const timeline = asked.then(
      ([row]) => {
        const met = this.#met(timelineOf(row, this.#name));
        this.#secret = `${row?.secret} ${met}`;
        return met;
      },
      (error: unknown) => {
        throw this.#nothingDone(error);
      },
    );
    this.#timeline = timeline;
    timeline.catch(() => {
      if (this.#timeline === timeline) this.#timeline = undefined;
    });
    return timeline;
  }

  /** Another one than before: whoever we listen to may be the one before. */
  #met(timeline: string): string {
    if (this.#known !== undefined && this.#known !== timeline && !this.#over) {
      this.notices?.again();
      this.interests?.again();
    }
    this.#known = timeline;
    return timeline;
  }

  #nothingDone(error: unknown): SyncError {
    const { code, message } = this.errorOf(error);
    return refused(code, message);
  }
}

/** Of what Postgres took back for another one's sake. */
const MOST_TRIES = 4;

const NOWHERE: Listened = { epoch: undefined, notices: 0 };
