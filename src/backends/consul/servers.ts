import { Endpoints } from '../kit/endpoints.ts';
import { type ConsulClient, type Defaults, defaultsOf } from './client.ts';
import { ConsulConnection, connectionsOf } from './connection.ts';
import type { Settings } from './options.ts';

/** Which server is asked, and with what: everything in the same way at a time. */
export class Servers {
  readonly endpoints: Endpoints<ConsulConnection>;
  readonly requestTimeout: number;
  readonly #settings: Settings;
  /** Those that may have sockets yet. */
  #connections: ConsulConnection[] = [];
  #place = 0;
  /** What asks servers in doubt whether they have a leader. */
  readonly doubts = new Map<ConsulConnection, { cancel(): void }>();

  constructor(settings: Settings) {
    this.#settings = settings;
    this.requestTimeout = settings.requestTimeout;
    this.endpoints = new Endpoints({
      size: settings.clients.length,
      dial: (avoid) => this.#dial(avoid),
    });
  }

  /** `undefined` where it is for the agent to say. */
  get datacenter(): string | undefined {
    return this.#defaults().dc;
  }

  /** With what everything is asked for with. */
  pathOf(path: string): string {
    const { dc, partition } = this.#defaults();
    if (dc === undefined && partition === undefined) return path;
    const query = new URLSearchParams({ ...(dc && { dc }), ...(partition && { partition }) });
    return `${path}${path.includes('?') ? '&' : '?'}${query}`;
  }

  /** The token to ask with; a promise, where it has to be asked for. */
  token(): string | undefined | Promise<string> {
    const { token } = this.#settings;
    return token === undefined ? this.#defaults().token : (token.known ?? token.get());
  }

  /** A token was refused. Resolves with whether there is another one by now. */
  async hasAnother(used: string | undefined): Promise<boolean> {
    const { token } = this.#settings;
    if (token === undefined) return this.#defaults().token !== used;
    return used !== undefined && (await token.refused(used));
  }

  /** Whether the next socket may be one with other certificates. */
  get hasOtherTls(): boolean {
    const { tls } = this.#settings;
    return tls?.changes === true;
  }

  /** To another one, where there is one. */
  leave(connection: ConsulConnection): void {
    if (this.endpoints.size > 1) this.endpoints.failed(connection);
  }

  /** Resolves when no socket is left. */
  async close(): Promise<void> {
    for (const doubt of this.doubts.values()) doubt.cancel();
    this.doubts.clear();
    const closed = Promise.all(this.#connections.map((connection) => connection.close()));
    this.endpoints.close();
    await closed;
  }

  #defaults(): Defaults {
    const { lent, datacenter } = this.#settings;
    return lent === undefined ? { dc: datacenter, ...NOTHING } : defaultsOf(lent);
  }

  #dial(avoid: ConsulConnection | undefined): ConsulConnection {
    const { clients, token, tls, maxConnections } = this.#settings;
    if (avoid !== undefined) this.#place = (this.#place + 1) % clients.length;
    token?.forget();
    const client = clients[this.#place] as ConsulClient;
    const connection = new ConsulConnection(client, connectionsOf(maxConnections), tls);
    this.#connections = [...this.#connections.filter((each) => each.isBusy), connection];
    return connection;
  }
}

const NOTHING = { token: undefined, partition: undefined } as const;
