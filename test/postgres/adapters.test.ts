import { randomBytes } from 'node:crypto';
import { SyncManager } from 'holdfast';
import { postgres } from 'holdfast/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { uniqueKey } from '../scenarios/world.ts';
import { postgresUrl } from '../servers/postgres.ts';
import { kinds } from './kinds.ts';

const url = postgresUrl(inject('postgresAddress'));
const table = `orders_${randomBytes(5).toString('hex')}`;
const pool = new pg.Pool({ connectionString: url });
const sync = new SyncManager({ name: 'svc', backend: postgres({ connectionString: url }) });

beforeAll(async () => {
  await pool.query(`CREATE TABLE ${table} (id text PRIMARY KEY)`);
});

afterAll(async () => {
  await sync.stop();
  await pool.query(`DROP TABLE ${table}`);
  await pool.end();
});

/** What stands of an order and of the note about it. */
async function seen(id: string, key: string): Promise<unknown> {
  const { rows: orders } = await pool.query(`SELECT id FROM ${table} WHERE id = $1`, [id]);
  const { rows: notes } = await pool.query(
    "SELECT convert_from(value, 'UTF8') AS value FROM holdfast.records WHERE key = $1",
    [key],
  );
  return { orders: orders.length, notes: notes.map(({ value }) => value) };
}

describe.each(Object.entries(kinds))('a transaction of %s', (_, open) => {
  test('has our commit as a part of it: both or neither, under the proof', async () => {
    await using kind = open(url);
    const key = uniqueKey('order');
    const note = `${key}/note`;
    const id = key.slice(0, 11);
    await using grant = await sync.acquire(key);
    // Quotes and question marks are text like any other.
    const commit = { when: [grant.isOwner], then: [{ put: note, value: 'it\'s "paid"? $1' }] };
    const failed = kind.transaction(async (joined) => {
      await joined.sql(`INSERT INTO ${table} VALUES ('${id}')`);
      expect(await sync.commit(commit, { in: joined.in })).toMatchObject({ ok: true });
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect(await seen(id, note)).toEqual({ orders: 0, notes: [] });

    const { revision } = await kind.transaction(async (joined) => {
      await joined.sql(`INSERT INTO ${table} VALUES ('${id}')`);
      const done = await sync.commit({ ...commit, read: { key: note } }, { in: joined.in });
      expect(await seen(id, note)).toEqual({ orders: 0, notes: [] });
      if (!done.ok) throw new Error(done.why);
      expect(done.read?.[0]).toMatchObject({ key: note, revision: done.revision });
      return done;
    });
    expect(revision).toBeTypeOf('bigint');
    expect(await seen(id, note)).toEqual({ orders: 1, notes: ['it\'s "paid"? $1'] });
  });

  test('goes on after a conflict', async () => {
    await using kind = open(url);
    const key = uniqueKey('order');
    const id = key.slice(0, 11);
    const grant = await sync.acquire(key);
    await grant.release();
    const late = { when: [{ key: grant.isOwner.key, revision: grant.isOwner.revision }], then: [] };
    await kind.transaction(async (joined) => {
      expect(await sync.commit(late, { in: joined.in })).toEqual({ ok: false, why: 'conflict' });
      await joined.sql(`INSERT INTO ${table} VALUES ('${id}')`);
    });
    expect(await seen(id, key)).toEqual({ orders: 1, notes: [] });
  });

  test('that Postgres takes back is told as such, without what was to be written', async () => {
    await using kind = open(url);
    const key = uniqueKey('data');
    const put = { then: [{ put: key, value: 'a secret' }] };
    await sync.commit(put);
    const late = kind.transaction(async (joined) => {
      await joined.sql('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await joined.sql('SELECT 1');
      await sync.commit(put);
      await sync.commit(put, { in: joined.in });
    });
    const error = await late.then(
      () => undefined,
      (reason: Error & { cause?: unknown }) => reason,
    );
    expect(error).toMatchObject({ name: 'SyncError', code: 'unavailable', outcome: 'refused' });
    expect(error?.message).toMatch(
      /^the transaction gave way to another one: roll the transaction back, and run it again\. .*could not serialize access/,
    );
    expect(error?.message).not.toContain(Buffer.from('a secret').toString('hex'));
    expect(error?.message).not.toContain('SELECT');
  });

  test('is refused by name before it has begun', async () => {
    await using kind = open(url);
    const key = uniqueKey('data');
    const commit = async () => sync.commit({ then: [{ put: key, value: 'x' }] }, { in: kind.outside() });
    await expect(commit()).rejects.toMatchObject({ code: 'invalid-option', outcome: 'refused' });
    await expect(commit()).rejects.toThrow(/option "in" must be a (transaction|client on which)/);
    expect(await seen('', key)).toEqual({ orders: 0, notes: [] });
  });
});
