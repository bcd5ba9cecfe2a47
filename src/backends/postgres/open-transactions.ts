import { queueMicrotask } from '../../async/platform.ts';
import type { Server } from './server.ts';

/** Transactions of users', by their numbers: whether they are still open. */
export class OpenTransactions {
  readonly #server: Server;
  #asked: string[] = [];
  #answer: Promise<ReadonlySet<string>> | undefined;

  constructor(server: Server) {
    this.#server = server;
  }

  /** All who ask together share one look. Rejects with a `SyncError`. */
  async isOver(id: string): Promise<boolean> {
    this.#asked.push(id);
    this.#answer ??= new Promise((resolve, reject) => {
      queueMicrotask(() => this.#ask().then(resolve, reject));
    });
    return !(await this.#answer).has(id);
  }

  async #ask(): Promise<ReadonlySet<string>> {
    const ids = this.#asked;
    this.#asked = [];
    this.#answer = undefined;
    // Without an answer it is so old that it must be over.
    const text = "SELECT id FROM unnest($1::text[]) AS id WHERE pg_xact_status(id::xid8) = 'in progress'";
    try {
      const rows = await this.#server.query(text, [ids]);
      return new Set(rows.map(({ id }) => String(id)));
    } catch (error) {
      throw this.#server.errorOf(error);
    }
  }
}
