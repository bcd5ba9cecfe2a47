import { isSyncError } from '../../contract/errors.ts';
import type { Present } from '../kit/provided.ts';
import type { Metadata } from './client.ts';
import type { EtcdConnection } from './connection.ts';
import type { Borrower } from './dialler.ts';
import { failureOf, isAuthDisabled, isDenied } from './errors.ts';
import type { NameAndPassword } from './options.ts';

/** What goes with every request to say who we are. */
export interface Credentials {
  /** At once, where there is nothing to wait for. */
  known(connection: EtcdConnection): Metadata | undefined;
  metadata(connection: EtcdConnection): Promise<Metadata>;
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

/** Gives a token; rejects with the client's own error. */
export type Authenticate = (connection: EtcdConnection, login: NameAndPassword) => Promise<string>;

/** A token for a name and a password, fetched when first needed and shared by all requests. */
export class Login implements Credentials {
  readonly #login: Present<NameAndPassword>;
  readonly #authenticate: Authenticate;
  #current: Promise<Metadata> | undefined;
  #last: Metadata | undefined;

  constructor(login: Present<NameAndPassword>, authenticate: Authenticate) {
    this.#login = login;
    this.#authenticate = authenticate;
  }

  known(): Metadata | undefined {
    return this.#last;
  }

  metadata(connection: EtcdConnection): Promise<Metadata> {
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

  async #fetch(connection: EtcdConnection): Promise<Metadata> {
    const metadata = connection.metadata.clone();
    try {
      metadata.set('token', await this.#token(connection));
    } catch (error) {
      // As etcd's own Go client does: a cluster without authentication serves those who could log in, too.
      if (isSyncError(error) || !isAuthDisabled(failureOf(error))) throw error;
    }
    this.#last = metadata;
    return metadata;
  }

  async #token(connection: EtcdConnection): Promise<string> {
    this.#login.forget();
    const used = await this.#login.get();
    try {
      return await this.#authenticate(connection, used);
    } catch (error) {
      // It may have been rotated between the two.
      if (!isDenied(failureOf(error)) || !(await this.#login.refused(used))) throw error;
      return await this.#authenticate(connection, await this.#login.get());
    }
  }
}
