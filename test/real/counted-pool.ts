import type { ClientLike, PoolLike } from 'holdfast/postgres';
import { Pool } from 'pg';

/** A pool whose statements are counted, by the function that they call. */
export class CountedPool implements PoolLike, AsyncDisposable {
  readonly #pool: Pool;
  readonly #counts = new Map<string, number>();
  #underWay = 0;

  constructor(connectionString: string) {
    this.#pool = new Pool({ connectionString, max: 4 });
  }

  get statements(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The client has heard itself where it listens, and says nothing more of its own accord. */
  get listens(): boolean {
    return this.#underWay === 0 && [...this.#counts.keys()].some((name) => name.includes('pg_notify'));
  }

  count(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  async connect(): Promise<ClientLike> {
    const client = await this.#pool.connect();
    return {
      query: async (text, values) => {
        const name = /\.([a-z_]+)_1\(/.exec(text)?.[1] ?? text;
        this.#counts.set(name, this.count(name) + 1);
        this.#underWay += 1;
        try {
          return await client.query(text, values);
        } finally {
          this.#underWay -= 1;
        }
      },
      release: (error) => client.release(error),
      on: (event, listener) => client.on(event, listener),
      off: (event, listener) => client.off(event, listener),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }
}
