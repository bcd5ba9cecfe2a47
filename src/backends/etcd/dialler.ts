import type { Etcd3 } from 'etcd3';
import type { Dialler } from '../kit/endpoints.ts';
import { dialled, draw, type Metadata } from './client.ts';
import { EtcdConnection } from './connection.ts';
import { errorOf } from './errors.ts';
import type { Dial } from './options.ts';

/** How often a client of the application is asked for another server than the one that failed. */
const MOST_DRAWS = 16;

/** Dials by itself. Every connection has a client of its own, so that it can be replaced as a whole. */
export class OwnDialler implements Dialler<EtcdConnection> {
  readonly size: number;
  readonly #dial: Dial;
  #next: number;

  constructor(dial: Dial) {
    this.#dial = dial;
    this.size = dial.addresses.length;
    // Not everybody to the first of the list.
    this.#next = Math.floor(Math.random() * this.size);
  }

  async dial(): Promise<EtcdConnection> {
    const { addresses, secure, tls } = this.#dial;
    const address = addresses[this.#next++ % addresses.length] as string;
    tls?.forget();
    const present = await tls?.get();
    const { drawn, close } = await dialled(address, secure, present);
    return new EtcdConnection(address, drawn, close);
  }
}

/** Takes connections from a client of the application. Which server it gets is etcd3's choice, at random. */
export class Borrower implements Dialler<EtcdConnection> {
  readonly #client: Etcd3;
  readonly #seen = new Set<unknown>();

  constructor(client: Etcd3) {
    this.#client = client;
  }

  get size(): number {
    return Math.max(1, this.#seen.size);
  }

  async dial(avoid?: EtcdConnection): Promise<EtcdConnection> {
    try {
      let best: EtcdConnection | undefined;
      for (let draws = 0; draws < MOST_DRAWS; draws++) {
        const candidate = await this.#draw();
        if (candidate.host !== avoid?.host && !candidate.failing) best ??= candidate;
      }
      return best ?? (await this.#draw());
    } catch (error) {
      throw errorOf(error, 'its hosts');
    }
  }

  /** The application's credentials: etcd3 fetches the token if it has none. */
  async metadata(): Promise<Metadata> {
    return (await draw(this.#client)).metadata;
  }

  /**
   * Has etcd3 look at its token. It forgets a token only when a call that it ran itself was refused for it, so this
   * runs one, the smallest there is.
   */
  async reauthenticate(): Promise<void> {
    const key = Buffer.from([0]);
    await this.#client.kv.range({ key, limit: 1, keys_only: true }).catch(() => undefined);
  }

  async #draw(): Promise<EtcdConnection> {
    const drawn = await draw(this.#client);
    this.#seen.add(drawn.resource);
    return new EtcdConnection(shown(drawn.resource.host), drawn);
  }
}

/** What can be shown of an address that we have not looked at: it may hold a password. */
function shown(host: string): string {
  const [authority = ''] = host.split(/[/?#]/);
  return authority.slice(authority.lastIndexOf('@') + 1);
}
