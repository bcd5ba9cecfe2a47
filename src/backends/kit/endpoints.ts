import { monotonic } from '../../async/platform.ts';
import type { SyncError } from '../../contract/errors.ts';

/** The way to one server. */
export interface Connection {
  /** `host:port`, or the path of a socket: what was dialled, and nothing secret. */
  readonly address: string;
  /** When something last came in, on the monotonic clock. Before anything has: `-Infinity`. */
  readonly heardAt: number;
  /**
   * What is under way may come to its end; nothing else is begun. What would never end, such as a stream, ends now, and who began it
   * goes on by another connection.
   */
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

/**
 * Milliseconds from the first dial of a round in which no server was heard to the next round: servers that refuse connections
 * are not dialled without a pause, however many ask.
 */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 1_000;

/** Which server is asked: one at a time, for everything, until it fails or falls silent. */
export class Endpoints<C extends Connection> {
  readonly #dialler: Dialler<C>;
  #current: Promise<C> | undefined;
  #live: C | undefined;
  #left: C | undefined;
  #closed = false;
  /** Since a server was last heard: all of them are tried once, then there is a pause. */
  #round = { dials: 0, begun: 0, pause: FIRST_PAUSE };

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
    // Also a dial that throws at once does so only after this.
    this.#current ??= this.#dial().catch((error: SyncError) => {
      this.#current = undefined;
      throw error;
    });
    return this.#current;
  }

  isReplaced(connection: C): boolean {
    return this.#live !== connection;
  }

  /**
   * It cannot be used, or the server is of no use as a whole: on to another one, or to the same one by its name. While there is a
   * pause the one that failed stays, and tells all who ask how it failed.
   */
  failed(connection: C): void {
    if (this.#live === connection && this.#mayDial(connection)) this.#leave(connection);
  }

  /**
   * Nothing was heard of the server since `since`, so the connection may be dead without a sign. The same server may well answer
   * on a new one. `false`, if something was heard meanwhile, or it was left before.
   */
  silent(connection: C, since: number): boolean {
    if (connection.heardAt >= since || this.#live !== connection) return false;
    this.#leave(connection);
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#live?.sever();
  }

  #mayDial({ heardAt }: C): boolean {
    const now = monotonic();
    const { begun, dials, pause } = this.#round;
    if (heardAt > Number.NEGATIVE_INFINITY) {
      // It may be reached again by its name. With others to try, it was the first of this round.
      this.#round = { dials: this.size > 1 ? 1 : 0, begun: now, pause: FIRST_PAUSE };
    } else if (dials >= this.size) {
      if (now - begun < pause) return false;
      this.#round = { dials: 0, begun: now, pause: Math.min(2 * pause, LONGEST_PAUSE) };
    }
    return true;
  }

  #leave(connection: C): void {
    this.#left = connection;
    this.#live = undefined;
    this.#current = undefined;
    connection.retire();
  }

  async #dial(): Promise<C> {
    this.#round.dials += 1;
    const connection = await this.#dialler.dial(this.#left);
    this.#live = connection;
    this.#left = undefined;
    if (this.#closed) connection.sever();
    return connection;
  }
}
