import type { SyncError } from '../../contract/errors.ts';

/** The way to one server. */
export interface Connection {
  /** `host:port`, or the path of a socket: what was dialled, and nothing secret. */
  readonly address: string;
  /** When something last came in, on the monotonic clock. */
  readonly heardAt: number;
  /** What is under way may come to its end; nothing else is begun. */
  retire(): void;
  /** Ends what is under way, too. Who began it is told. */
  sever(): void;
}

export interface Dialler<C> {
  /** How many servers there are to choose from, as far as known. */
  readonly size: number;
  /**
   * A connection, or the beginning of one: a name is resolved anew each time. Rejects with a `SyncError`.
   *
   * @param avoid the one that has just failed: another server, where there is one.
   */
  dial(avoid?: C): Promise<C> | C;
}

/** Which server is asked: one at a time, for everything, until it fails or falls silent. */
export class Endpoints<C extends Connection> {
  readonly #dialler: Dialler<C>;
  #current: Promise<C> | undefined;
  #live: C | undefined;
  #left: C | undefined;
  #closed = false;

  constructor(dialler: Dialler<C>) {
    this.#dialler = dialler;
  }

  get size(): number {
    return this.#dialler.size;
  }

  /** The connection in use, if there is one by now. */
  get live(): C | undefined {
    return this.#live;
  }

  connection(): Promise<C> {
    this.#current ??= this.#dial();
    return this.#current;
  }

  isReplaced(connection: C): boolean {
    return this.#live !== connection;
  }

  /** It cannot be used, or the server is of no use as a whole: on to another one, or to the same one by its name. */
  failed(connection: C): void {
    if (this.#leave(connection)) connection.retire();
  }

  /**
   * Nothing was heard of the server since `since`, so the connection may be dead without a sign. The same server may well answer
   * on a new one. `false`, if something was heard meanwhile, or it was left before.
   */
  silent(connection: C, since: number): boolean {
    if (connection.heardAt >= since || !this.#leave(connection)) return false;
    connection.retire();
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#live?.sever();
  }

  #leave(connection: C): boolean {
    if (this.#live !== connection) return false;
    this.#left = connection;
    this.#live = undefined;
    this.#current = undefined;
    return true;
  }

  async #dial(): Promise<C> {
    try {
      const connection = await this.#dialler.dial(this.#left);
      this.#live = connection;
      this.#left = undefined;
      if (this.#closed) connection.sever();
      return connection;
    } catch (error) {
      this.#current = undefined;
      throw error as SyncError;
    }
  }
}
