import type { Borrower, Connection, Metadata } from './client.ts';
import { failureOf } from './errors.ts';

/** What goes with every request to say who we are. */
export interface Credentials {
  /** At once, where there is nothing to wait for. */
  known(connection: Connection): Metadata | undefined;
  metadata(connection: Connection): Promise<Metadata>;
  /** The server refused the token in `used`. Resolves with whether there is another one to try. */
  refused(used: Metadata): Promise<boolean>;
}

export const anonymous: Credentials = {
  known: (connection) => connection.metadata,
  metadata: async (connection) => connection.metadata,
  refused: async () => false,
};

/** Those of the application's own client. */
export function borrowed(borrower: Borrower): Credentials {
  return {
    known: () => undefined,
    metadata: () => borrower.metadata(),
    async refused(used) {
      if ((await borrower.metadata()) === used) await borrower.reauthenticate();
      return (await borrower.metadata()) !== used;
    },
  };
}

/** A token for a name and a password, fetched when first needed and shared by all requests. */
export class Login implements Credentials {
  readonly #authenticate: (connection: Connection) => Promise<string>;
  #current: Promise<Metadata> | undefined;
  #last: Metadata | undefined;

  constructor(authenticate: (connection: Connection) => Promise<string>) {
    this.#authenticate = authenticate;
  }

  known(): Metadata | undefined {
    return this.#last;
  }

  metadata(connection: Connection): Promise<Metadata> {
    this.#current ??= this.#fetch(connection).catch((error: unknown) => {
      this.#current = undefined;
      throw error;
    });
    return this.#current;
  }

  async refused(used: Metadata): Promise<boolean> {
    // Many requests come back at once with the token of before; only the first of them throws it away.
    if (used === this.#last) {
      this.#current = undefined;
      this.#last = undefined;
    }
    return true;
  }

  async #fetch(connection: Connection): Promise<Metadata> {
    const metadata = connection.metadata.clone();
    try {
      metadata.set('token', await this.#authenticate(connection));
    } catch (error) {
      // As etcd's own Go client does: a cluster without authentication serves those who could log in, too.
      if (!failureOf(error).details.includes('authentication is not enabled')) throw error;
    }
    this.#last = metadata;
    return metadata;
  }
}
