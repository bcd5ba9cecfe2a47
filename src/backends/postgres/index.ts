import type { Backend, BackendTraits } from '../../contract/backend.ts';
import { type Names, refuseUnknown } from '../../contract/options.ts';
import { backendOf } from '../kit/backend.ts';
import { ownListener, ownPools } from './client.ts';
import { Database, type PoolLike, type Way } from './database.ts';
import { PostgresDriver } from './driver.ts';
import { syncErrorOf } from './errors.ts';
import { checkName, invalid, type PostgresOptions, type Resolved, resolveOptions } from './options.ts';
import { schemaSql } from './schema/install.ts';
import { Server } from './server.ts';

export {
  drizzleTransaction,
  knexTransaction,
  kyselyTransaction,
  postgresTransaction,
  prismaTransaction,
} from './adapters.ts';
export type { ClientLike, PoolLike, PostgresOptions, Query } from './options.ts';
export type { Transaction } from './within.ts';

export interface InstallOptions {
  /** Default `holdfast`. */
  readonly schema?: string;
  /** The role of the application: it may use what is created, and nothing else of it. Without it only the owner may. */
  readonly role?: string;
}

const INSTALL_OPTIONS: Names<InstallOptions> = { schema: true, role: true };

/**
 * Postgres 13 and later. A session is a row with a time by the database's own clock; contenders stand in a queue, and each is told
 * when it is his turn.
 *
 * Throws a `SyncError` `invalid-option` that names the option. Connects with the first call. The schema must be there: see `install`.
 */
export function postgres(options: PostgresOptions): Backend {
  const { via, listen, schema, requestTimeout } = resolveOptions(options);
  const server = new Server(
    schema,
    new Database(wayOf(via, requestTimeout), schema, requestTimeout),
    listen === undefined ? undefined : () => ownListener(listen, requestTimeout),
  );
  return backendOf(new PostgresDriver(server, traitsOf(listen !== undefined)));
}

/**
 * Creates the schema, or brings it up to date; does nothing where it is. To be run by the role that is to own it, once for each
 * deployment: it is safe to do so while services run, and from several at a time.
 *
 * Rejects with a `SyncError`.
 */
export async function install(pool: PoolLike, options: InstallOptions = {}): Promise<void> {
  const { schema = 'holdfast' } = options;
  const sql = installSql(options);
  if (typeof pool?.connect !== 'function') throw invalid('pool', 'must be a Pool of the package pg');
  const client = await pool.connect().catch((error: unknown) => {
    throw syncErrorOf(error, schema, false);
  });
  try {
    await client.query(sql, []);
  } catch (error) {
    throw syncErrorOf(error, schema, true);
  } finally {
    client.release();
  }
}

/** The SQL that `install` runs, for who runs migrations by other means. */
export function installSql(options: InstallOptions = {}): string {
  refuseUnknown(options, INSTALL_OPTIONS, invalid);
  const { schema = 'holdfast', role } = options;
  checkName('schema', schema);
  if (role !== undefined) checkName('role', role);
  return schemaSql({ schema, ...(role !== undefined && { role }) });
}

function wayOf(via: Resolved['via'], timeout: number): Way {
  if ('query' in via) return via;
  if ('connectionString' in via) return ownPools(via.connectionString, timeout);
  const pool = async (): Promise<PoolLike> => via.pool;
  return { work: pool, sessions: pool, end: async () => {} };
}

function traitsOf(listens: boolean): BackendTraits {
  return {
    name: 'postgres',
    contention: 'queue',
    ttl: { min: 500, max: 24 * 60 * 60 * 1_000 },
    maxLockDelay: 0,
    maxValueBytes: 1024 * 1024,
    maxOperations: 128,
    fencing: 'durable',
    wakes: listens ? 'pushed' : 'polled',
  };
}
