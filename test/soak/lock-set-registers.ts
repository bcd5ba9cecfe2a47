import { type Grant, isSyncError, type SyncManager } from 'holdfast';
import type { Pool } from 'pg';
import type { Outcome } from './lock-set-protocol.ts';

/** The value that a lock protects, as its holders reach it. A rejected write has an unknown outcome. */
export interface Register {
  read(grant: Grant): Promise<{ readonly value: string | undefined } | 'refused'>;
  write(grant: Grant, value: string): Promise<Outcome>;
}

/** A record beside the lock. */
export function besideTheLock(sync: SyncManager, key: string): Register {
  return {
    async read(grant) {
      const asked = sync.commit({ when: [grant.isOwner], read: { key } });
      const result = await asked.catch(unlessUnavailable);
      if (!result?.ok) return 'refused';
      const [record] = result.read ?? [];
      return { value: record && new TextDecoder().decode(record.value) };
    },
    async write(grant, value) {
      const { ok } = await sync.commit({ when: [grant.isOwner], then: [{ put: key, value }] });
      return ok ? 'accepted' : 'refused';
    },
  };
}

/** An `OutsideStore`. */
export function outside(url: string): Register {
  const headers = (grant: Grant) => ({ 'x-token': String(grant.token) });
  return {
    async read(grant) {
      const response = await fetch(url, { headers: headers(grant) });
      return response.ok ? { value: (await response.text()) || undefined } : 'refused';
    },
    async write(grant, value) {
      const response = await fetch(url, { method: 'PUT', headers: headers(grant), body: value });
      await response.text();
      return response.ok ? 'accepted' : 'refused';
    },
  };
}

/** The rows of that name in a table of the user's: each increment adds one. */
export function rowsOf(pool: Pool, table: string, name: string, proofOf: ProofOf): Register {
  return {
    async read() {
      const newest = `SELECT n || ' ' || author AS value FROM ${table} WHERE name = $1 ORDER BY n DESC LIMIT 1`;
      // The server may be away for a moment.
      const result = await pool.query<{ value: string }>(newest, [name]).catch(() => undefined);
      return result === undefined ? 'refused' : { value: result.rows[0]?.value };
    },
    async write(grant, value) {
      const client = await pool.connect();
      let broken = true;
      try {
        await client.query('BEGIN');
        const ok = await proofOf(grant, client);
        if (ok) await client.query(`INSERT INTO ${table} VALUES ($1, $2, $3)`, [name, ...value.split(' ')]);
        await client.query(ok ? 'COMMIT' : 'ROLLBACK');
        broken = false;
        return ok ? 'accepted' : 'refused';
      } finally {
        client.release(broken);
      }
    },
  };
}

type ProofOf = (grant: Grant, transaction: unknown) => Promise<boolean>;

export function proofBy(sync: SyncManager): ProofOf {
  return async (grant, transaction) =>
    (await sync.commit({ when: [grant.isOwner], then: [] }, { in: transaction })).ok;
}

export const noProof: ProofOf = async () => true;

/** This process was stopped for as long as a request may take, or the server is away. */
function unlessUnavailable(error: unknown): undefined {
  if (!isSyncError(error, 'unavailable')) throw error;
}
