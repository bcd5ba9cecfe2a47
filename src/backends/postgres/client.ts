import { refused } from '../../contract/errors.ts';
import type { ListenerLike, PoolLike } from './database.ts';

/** Everything that is particular to the package pg, of which only a pool and a connection of its own are used. */

/** As many as are under way at a time, and one for the session. */
const MOST_CONNECTIONS = 4;

interface Pg {
  readonly Pool: new (
    options: object,
  ) => PoolLike & {
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

export interface OwnPool {
  get(): Promise<PoolLike>;
  end(): Promise<void>;
}

export function ownPool(connectionString: string, timeout: number): OwnPool {
  let made: Promise<InstanceType<Pg['Pool']>> | undefined;
  let ending: Promise<void> | undefined;
  const make = async (): Promise<InstanceType<Pg['Pool']>> => {
    const { Pool } = await load();
    const pool = new Pool({
      ...settings(connectionString, timeout),
      max: MOST_CONNECTIONS,
      allowExitOnIdle: true,
    });
    // Of a connection that broke while nobody used it. The next request takes another one.
    pool.on('error', () => undefined);
    return pool;
  };
  return {
    get: () => {
      made ??= make();
      return made;
    },
    end: () => {
      ending ??= (async () => (await made?.catch(() => undefined))?.end())();
      return ending;
    },
  };
}

export async function ownListener(connectionString: string, timeout: number): Promise<ListenerLike> {
  const { Client } = await load();
  return new Client(settings(connectionString, timeout));
}

function settings(connectionString: string, timeout: number): object {
  return {
    connectionString,
    connectionTimeoutMillis: timeout,
    keepAlive: true,
    application_name: 'holdfast',
  };
}
