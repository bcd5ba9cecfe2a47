import { Client } from 'pg';
import { postgresUrl } from '../servers/postgres.ts';

/** A table of the user's that holds increments. It constrains nothing: only locks keep it right. */
export class IncrementTable implements AsyncDisposable {
  readonly name: string;
  readonly #address: string;

  private constructor(address: string, name: string) {
    this.#address = address;
    this.name = name;
  }

  static async create(address: string, name: string): Promise<IncrementTable> {
    const table = new IncrementTable(address, name);
    await table.#run(`CREATE TABLE ${name} (name text, n int, author text)`);
    return table;
  }

  /** How many increments stand there: two that made the same of what they had read are one. */
  async count(of: string): Promise<number> {
    const [row] = await this.#run(`SELECT count(DISTINCT n)::int AS n FROM ${this.name} WHERE name = $1`, [
      of,
    ]);
    return Number(row?.n);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run(`DROP TABLE ${this.name}`);
  }

  async #run(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: postgresUrl(this.#address) });
    await client.connect();
    try {
      return (await client.query(text, [...values])).rows;
    } finally {
      await client.end();
    }
  }
}
