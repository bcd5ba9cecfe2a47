import { Pool } from 'pg';
import { type InstallOptions, install } from '../../src/backends/postgres/index.ts';

interface Login {
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
}

/** An address of the server for somebody. */
export function urlFor(server: { readonly address: string }, login: Login = {}): string {
  const { user = 'postgres', password, database = 'postgres' } = login;
  return `postgres://${user}${password === undefined ? '' : `:${password}`}@${server.address}/${database}`;
}

/** `install`, with a pool of its own. */
export async function installInto(connectionString: string, options?: InstallOptions): Promise<void> {
  const pool = new Pool({ connectionString, max: 1 });
  try {
    await install(pool, options);
  } finally {
    await pool.end();
  }
}
