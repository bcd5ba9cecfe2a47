import { installSql, postgres } from 'holdfast/postgres';
import type { ConformanceClientOptions } from 'holdfast/testing';
import { Pool } from 'pg';
import type { Backend } from '../../../src/contract/backend.ts';
import { until } from '../../scenarios/world.ts';
import { stoppedPool } from '../stopped-pool.ts';
import type { Replacement } from './mutant.ts';

/** A schema of its own, in which something may be wrong, and its clients. */
export class TestDatabase implements AsyncDisposable {
  readonly #schema: string;
  readonly #url: string;
  readonly #pool: Pool;

  private constructor(url: string, schema: string) {
    this.#url = url;
    this.#schema = schema;
    this.#pool = new Pool({ connectionString: url, application_name: schema, max: 40 });
  }

  static async create(
    url: string,
    schema: string,
    replacements: readonly Replacement[],
  ): Promise<TestDatabase> {
    const database = new TestDatabase(url, schema);
    await database.#pool.query(altered(installSql({ schema }), replacements));
    return database;
  }

  readonly open = ({ pause }: ConformanceClientOptions): Backend =>
    postgres({ pool: stoppedPool(this.#pool, pause), listen: this.#url, schema: this.#schema });

  /** @param text with `@` for the schema. */
  async sql(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return (await this.#pool.query(text.replaceAll('@', this.#schema), [...values])).rows;
  }

  /** Locks a row for as long as nobody calls what it resolves with. */
  async lockRow(text: string, values: readonly unknown[]): Promise<() => Promise<void>> {
    const client = await this.#pool.connect();
    await client.query('BEGIN');
    await client.query(text.replaceAll('@', this.#schema), [...values]);
    return async () => {
      await client.query('COMMIT');
      client.release();
    };
  }

  /** Until one of them is settled, or a transaction of this schema waits for another one. */
  async settledOrBlocked(...promises: readonly Promise<unknown>[]): Promise<void> {
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    for (const promise of promises) promise.then(settle, settle);
    await until(async () => settled || (await this.#isBlocked()));
  }

  async #isBlocked(): Promise<boolean> {
    const text = `SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`;
    return (await this.#pool.query(text, [this.#schema])).rows.length > 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }
}

function altered(sql: string, replacements: readonly Replacement[]): string {
  return replacements.reduce((text, [right, wrong]) => {
    const parts = text.split(right);
    if (parts.length !== 2) throw new TypeError(`found ${parts.length - 1} times, and not once: ${right}`);
    return parts.join(wrong);
  }, sql);
}
