import { refused, type SyncError } from '../../contract/errors.ts';
import { type Names, refuseUnknown } from '../../contract/options.ts';
import type { ClientLike, PoolLike, Query } from './database.ts';

export type { ClientLike, PoolLike, Query };

export interface PostgresOptions {
  /** For a pool of our own, by the package `pg`: `postgres://user:password@host:5432/database`. */
  readonly connectionString?: string;
  /** A pool of the application, of the package `pg`, in place of that. It is not ended on disposal. */
  readonly pool?: PoolLike;
  /** Any other way to run a statement with `$1` and so on, in place of both: `(text, values) => sql.unsafe(text, values)`. */
  readonly query?: Query;
  /**
   * Where to listen for changes: a connection string that leads to Postgres itself, and to no PgBouncer in transaction mode.
   * Default: `connectionString`. `false`, and with `pool` or `query` the default: changes are found by looking every 250 ms.
   */
  readonly listen?: string | false;
  /** The schema that `install` has made. Default `holdfast`. */
  readonly schema?: string;
  /** Milliseconds for one request, connecting included. Default 5,000. */
  readonly requestTimeout?: number;
}

export interface Resolved {
  readonly via:
    | { readonly query: Query }
    | { readonly pool: PoolLike }
    | { readonly connectionString: string };
  readonly listen: string | undefined;
  readonly schema: string;
  readonly requestTimeout: number;
}

const DEFAULT_REQUEST_TIMEOUT = 5_000;
/** The longest timer of Node. */
const MAX_REQUEST_TIMEOUT = 2 ** 31 - 1;
/** Of a name in Postgres. */
const MOST_BYTES = 63;

const OPTIONS: Names<PostgresOptions> = {
  connectionString: true,
  pool: true,
  query: true,
  listen: true,
  schema: true,
  requestTimeout: true,
};
const WAYS = ['connectionString', 'pool', 'query'] as const;

export function resolveOptions(options: PostgresOptions): Resolved {
  refuseUnknown(options, OPTIONS, invalid);
  const { schema = 'holdfast', requestTimeout = DEFAULT_REQUEST_TIMEOUT } = options;
  if (typeof requestTimeout !== 'number' || !(requestTimeout > 0 && requestTimeout <= MAX_REQUEST_TIMEOUT)) {
    throw invalid(
      'requestTimeout',
      `must be milliseconds above 0 and below 2^31, not ${String(requestTimeout)}`,
    );
  }
  checkName('schema', schema);
  const given = WAYS.filter((name) => options[name] !== undefined);
  if (given.length === 0)
    throw invalid('connectionString', 'is missing, and there is neither a "pool" nor a "query"');
  if (given.length > 1) throw invalid(given[1] as string, `must not be given together with "${given[0]}"`);
  const { connectionString, pool, query, listen = connectionString ?? false } = options;
  if (connectionString !== undefined) checkAddress('connectionString', connectionString);
  if (listen !== false) checkAddress('listen', listen);
  const shared = { listen: listen === false ? undefined : listen, schema, requestTimeout };
  if (connectionString !== undefined) return { via: { connectionString }, ...shared };
  if (query !== undefined) {
    if (typeof query !== 'function') throw invalid('query', `must be a function, not ${typeof query}`);
    return { via: { query }, ...shared };
  }
  if (typeof pool?.connect !== 'function') throw invalid('pool', 'must be a Pool of the package pg');
  return { via: { pool }, ...shared };
}

/** Dollars quote what functions are made of. */
export function checkName(option: string, name: unknown): void {
  if (typeof name !== 'string' || name === '' || /[\0$]/.test(name) || !name.isWellFormed()) {
    throw invalid(option, 'must be a name, not empty and without "$"');
  }
  if (Buffer.byteLength(name) > MOST_BYTES) throw invalid(option, `must have at most ${MOST_BYTES} bytes`);
}

/** What it holds is never shown: there may be a password in it. */
function checkAddress(option: string, text: unknown): void {
  // Without a host, for a socket of this machine, it is none by Node's rules.
  const isAddress =
    typeof text === 'string' &&
    /^postgres(?:ql)?:\/\//.test(text) &&
    URL.canParse(text.replace('@/', '@host/'));
  if (isAddress) return;
  throw invalid(option, 'must be an address such as postgres://user@host:5432/database');
}

export function invalid(option: string, problem: string): SyncError {
  return refused('invalid-option', `postgres option "${option}" ${problem}`);
}
