import { Client } from 'pg';

const NOTHING = Buffer.alloc(0);

/** One connection, with what one may do on it without this library: all of it by prepared statements. */
export class PostgresPeers {
  readonly #client: Client;
  readonly #session: string;
  readonly #timeline: string;

  private constructor(client: Client, session: string, timeline: string) {
    this.#client = client;
    this.#session = session;
    this.#timeline = timeline;
  }

  /** The table of those who have no other. */
  static async install(url: string): Promise<void> {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query('CREATE TABLE bare (key text PRIMARY KEY, value bytea NOT NULL)');
    await client.end();
  }

  /** @param session in whose name the functions are called. */
  static async connect(url: string, session: string): Promise<PostgresPeers> {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query('LISTEN bare');
    const { rows } = await client.query('SELECT holdfast.run_1() AS timeline');
    return new PostgresPeers(client, session, rows[0].timeline);
  }

  /** The floor. */
  async bare(key: string): Promise<void> {
    await this.insert(key);
    await this.#ask('delete', 'DELETE FROM bare WHERE key = $1', [key]);
  }

  insert(key: string): Promise<unknown> {
    return this.#ask('insert', 'INSERT INTO bare VALUES ($1, $2)', [key, NOTHING]);
  }

  async remove(key: string, tells: boolean): Promise<void> {
    const text =
      'WITH gone AS (DELETE FROM bare WHERE key = $1 RETURNING key) SELECT pg_notify($2, key) FROM gone';
    if (tells) await this.#ask('remove', text, [key, 'bare']);
    else await this.#ask('delete', 'DELETE FROM bare WHERE key = $1', [key]);
  }

  told(key: string): Promise<void> {
    return new Promise((resolve) => {
      const hear = ({ payload }: { payload?: string | undefined }): void => {
        if (payload !== key) return;
        this.#client.off('notification', hear);
        resolve();
      };
      this.#client.on('notification', hear);
    });
  }

  /** Looks every so many milliseconds. */
  async gone(key: string, every: number): Promise<void> {
    while ((await this.#ask('look', 'SELECT FROM bare WHERE key = $1', [key])).length > 0) {
      await new Promise((resolve) => setTimeout(resolve, every));
    }
  }

  async functions(key: string): Promise<void> {
    const [queue, record] = [`${key}/.lock/`, `${key}/.lock/${this.#session}`];
    const places = [record, queue, `${key}/`];
    const [row] = await this.#ask(
      'enter',
      'SELECT verdict, revision::text, members FROM holdfast.enter_1($1, $2, $3, $4, $5, $6::text[])',
      [this.#timeline, record, queue, NOTHING, this.#session, places],
    );
    await this.#ask('leave', 'SELECT * FROM holdfast.leave_1($1, $2, $3, $4::bigint, $5::text[])', [
      this.#timeline,
      record,
      queue,
      row?.revision,
      places,
    ]);
  }

  async advisory(key: string): Promise<void> {
    await this.#ask('lock', 'SELECT pg_try_advisory_lock(hashtextextended($1, 0))', [key]);
    await this.#ask('unlock', 'SELECT pg_advisory_unlock(hashtextextended($1, 0))', [key]);
  }

  async end(): Promise<void> {
    await this.#client.end();
  }

  async #ask(name: string, text: string, values: unknown[]): Promise<Record<string, unknown>[]> {
    return (await this.#client.query({ name, text, values })).rows;
  }
}
