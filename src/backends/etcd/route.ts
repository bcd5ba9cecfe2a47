import type { Connection, Connector } from './client.ts';
import { failureOf, syncErrorOf } from './errors.ts';

/** Which server is asked: one at a time, for everything, until it fails. */
export class Route {
  readonly #connector: Connector;
  #current: Promise<Connection> | undefined;
  #live: Connection | undefined;
  #failed: Connection | undefined;
  #closed = false;

  constructor(connector: Connector) {
    this.#connector = connector;
  }

  /** How many servers there are to choose from. */
  get size(): number {
    return this.#connector.size;
  }

  /** The connection in use, if there is one by now. */
  get live(): Connection | undefined {
    return this.#live;
  }

  connection(): Promise<Connection> {
    this.#current ??= this.#connect();
    return this.#current;
  }

  /** Another connection has taken this one's place. */
  isReplaced(connection: Connection): boolean {
    return this.#live !== connection;
  }

  /** Changes over to another server, where there is one. Whoever still uses the old connection may finish. */
  failed(connection: Connection): void {
    if (this.size > 1 && this.#drop(connection)) connection.close();
  }

  /**
   * Nobody has heard of the server since `since`, so the connection may be dead without a sign. The same server may
   * well answer on a new one.
   */
  silent(connection: Connection, since: number): void {
    if (connection.heardAt < since && this.#drop(connection)) connection.sever();
  }

  close(): void {
    this.#closed = true;
    this.#live?.sever();
  }

  #drop(connection: Connection): boolean {
    if (this.#live !== connection) return false;
    this.#failed = connection;
    this.#live = undefined;
    this.#current = undefined;
    return true;
  }

  async #connect(): Promise<Connection> {
    try {
      const connection = await this.#connector.connect(this.#failed);
      this.#live = connection;
      this.#failed = undefined;
      if (this.#closed) connection.sever();
      return connection;
    } catch (error) {
      this.#current = undefined;
      throw syncErrorOf(failureOf(error), 'its hosts');
    }
  }
}
