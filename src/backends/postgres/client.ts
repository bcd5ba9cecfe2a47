import { refused } from '../../contract/errors.ts';
import type { ListenerLike, PoolLike, Pools } from './database.ts';
import { PreparedPool, type PreparingPoolLike } from './prepared.ts';
import { Sockets } from './sockets.ts';

/** Everything that is particular to the package pg, of which only a pool and a connection of its own are used. */

/** Of the work: as many as are under way at a time. Sessions have one of their own, so that no renewal waits for anything. */
const WORKING = { max: 2 };
const RENEWING = { max: 1, idleTimeoutMillis: 0 };

interface Pg {
  readonly Pool: new (
    options: object,
  ) => PreparingPoolLike & {
    on(event: 'error', listener: (error: Error) => void): unknown;
    end(): Promise<void>;
  };
  readonly Client: new (options: object) => ListenerLike;
}

/** Loaded when it is needed: who lends a pool of another package need not have it. */
async function load(): Promise<Pg> {
  try {
    const module = (await import('pg')) as unknown as { readonly default: Pg };
    return module.default;
  } catch {
    throw refused(
      'invalid-option',
      'postgres option "connectionString" needs the package pg: npm install pg',
    );
  }
}

export function ownPools(connectionString: string, timeout: number): Pools {
  const [work, sessions] = [WORKING, RENEWING].map((size) => ownPool(connectionString, timeout, size)) as [
    OwnPool,
    OwnPool,
  ];
  return {
    work: work.get,
    sessions: sessions.get,
    end: async () => {
      await Promise.all([work.end(), sessions.end()]);
    },
  };
}

interface OwnPool {
  get(): Promise<PoolLike>;
  end(): Promise<void>;
}

interface Made {
  readonly pool: PoolLike;
  end(): Promise<void>;
}

function ownPool(connectionString: string, timeout: number, size: object): OwnPool {
  const sockets = new Sockets();
  let made: Promise<Made> | undefined;
  let ending: Promise<void> | undefined;
  const make = async (): Promise<Made> => {
    const { Pool } = await load();
    const pool = new Pool({
      ...settings(connectionString, timeout, sockets),
      ...size,
      allowExitOnIdle: true,
    });
    // Of a connection that broke while nobody used it. The next request takes another one.
    pool.on('error', () => undefined);
    return { pool: new PreparedPool(pool), end: () => pool.end() };
  };
  return {
    get: async () => {
      made ??= make();
      return (await made).pool;
    },
    end: () => {
      ending ??= sockets.end((async () => (await made?.catch(() => undefined))?.end())());
      return ending;
    },
  };
}

export async function ownListener(connectionString: string, timeout: number): Promise<ListenerLike> {
  const { Client } = await load();
  const sockets = new Sockets();
  const client = new Client(settings(connectionString, timeout, sockets));
  const end = client.end.bind(client);
  return Object.assign(client, { end: () => sockets.end(end()) });
}

function settings(connectionString: string, timeout: number, { make }: Sockets): object {
  return {
    stream: make,
    connectionString,
    connectionTimeoutMillis: timeout,
    keepAlive: true,
    application_name: 'holdfast',
  };
}
