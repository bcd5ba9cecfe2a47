import type { ClientLike, PoolLike } from 'holdfast/postgres';
import type { ConformancePause } from 'holdfast/testing';
import type { Pool, PoolClient } from 'pg';

/**
 * A pool on which each statement is a transaction that can be stopped: before it begins, and before it is committed, with all that
 * it has locked. That is where others can meet it; what it does in between nobody sees.
 */
export function stoppedPool(pool: Pool, pause: ConformancePause): PoolLike {
  return {
    connect: async () => {
      return stoppedClient(await pool.connect(), pause);
    },
  };
}

function stoppedClient(client: PoolClient, pause: ConformancePause): ClientLike {
  return {
    async query(text, values) {
      // By which a client hears whether it is told anything: no step of a call.
      if (text.includes('pg_notify')) return client.query(text, values);
      await pause('before BEGIN');
      await client.query('BEGIN');
      try {
        const result = await client.query(text, values);
        await pause(`before COMMIT of ${text}`);
        await client.query('COMMIT');
        return result;
      } catch (error) {
        await client.query('ROLLBACK');
        throw error;
      }
    },
    release: (error) => client.release(error),
    on: (event, listener) => client.on(event, listener),
    off: (event, listener) => client.off(event, listener),
  };
}
