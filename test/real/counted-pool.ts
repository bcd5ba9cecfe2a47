import type { ClientLike, PoolLike } from 'holdfast/postgres';
import { Pool } from 'pg';

/** A pool whose statements are counted, by the function that they call. */
export class CountedPool implements PoolLike, AsyncDisposable {
  readonly #pool: Pool;
  readonly #counts = new Map<string, number>();

  constructor(connectionString: string) {
    this.#pool = new Pool({ connectionString, max: 4 });
  }

  get statements(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  count(name: string): number {
    return this.#counts.get(name) ?? 0;
  }
  get texts() {
    return this.#counts;
  }

  async connect(): Promise<ClientLike> {
    const client = await this.#pool.connect();
    return {
      query: (text, values) => {
        const name = /\.([a-z_]+)_1\(/.exec(text)?.[1] ?? text;
        this.#counts.set(name, this.count(name) + 1);
        return client.query(text, values);
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
