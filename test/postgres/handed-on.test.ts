import { randomBytes } from 'node:crypto';
import type { SyncManager } from 'holdfast';
import pg from 'pg';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { uniqueKey, until } from '../scenarios/world.ts';
import { postgresUrl } from '../servers/postgres.ts';
import { loadLibrary, loadMutant } from '../simulation/mutation/copy.ts';
import type { Patch } from '../simulation/mutation/patch.ts';
import { watch } from '../sync/faulty.ts';
import { inClient } from './kinds.ts';

const url = postgresUrl(inject('postgresAddress'));
const pool = new pg.Pool({ connectionString: url, max: 20 });
const system = { modules: { postgres: 'backends/postgres/index.ts' } };

afterAll(() => pool.end());

/** The mistakes that would let a proof pass for that of the next one here, while its transaction is open. */
const mutants: Record<string, Patch> = {
  'nobody waits for a transaction': {
    file: 'sync/callers/commit-within.ts',
    in: 'commitWithin',
    find: 'grant.guardUntil(isOver)',
    put: 'void isOver',
  },
  'a transaction is taken to be over': {
    file: 'backends/postgres/open-transactions.ts',
    in: 'OpenTransactions.isOver',
    find: 'return !(await this.#answer).has(id);',
    put: 'await this.#answer; return true;',
  },
  'the number of a transaction is not known': {
    file: 'backends/postgres/within.ts',
    in: 'commitWithin',
    find: 'answer.transaction ?? undefined',
    put: 'undefined',
  },
};

interface Outcome {
  /** Of two that each add one to what they have read, under one lock. */
  readonly balance: number;
  /** Whether the second one held by the record of the first. */
  readonly handedOn: boolean;
  /** How often it was asked whether a transaction is over: while nobody waited for it, and then. */
  readonly asked: readonly [number, number];
}

/** Two callers of one process. The first one gives the lock back before it commits, and that waits until the second has come or cannot. */
async function run(patches: readonly Patch[]): Promise<Outcome> {
  const { SyncManager: Manager, modules } = await (patches.length === 0
    ? loadLibrary(system)
    : loadMutant(system, patches));
  const { postgres } = modules.postgres as typeof import('holdfast/postgres');
  let asked = 0;
  const sync: SyncManager = new Manager({
    name: 'svc',
    backend: postgres({
      query: async (text, values) => {
        if (text.includes('pg_xact_status')) asked++;
        return (await pool.query(text, [...values])).rows;
      },
    }),
    session: { ttl: 60_000, lockDelay: 0 },
    handOff: { within: 600_000 },
  });
  const table = `accounts_${randomBytes(5).toString('hex')}`;
  await pool.query(`CREATE TABLE ${table} AS SELECT 0 AS balance`);
  const key = uniqueKey('account');
  const add = (balance: number) => `UPDATE ${table} SET balance = ${balance + 1}`;
  const read = async (on: pg.Pool | pg.PoolClient): Promise<number> =>
    (await on.query(`SELECT balance FROM ${table}`)).rows[0].balance;
  const note = { put: `${key}/note`, value: 'added' };
  try {
    const first = await sync.acquire(key);
    let hasRead = false;
    let handedOn = false;
    let whileIdle = 0;
    const second = watch(
      sync.withLock(key, (grant) =>
        inClient(pool, async (client) => {
          const balance = await read(client);
          hasRead = true;
          handedOn = grant.token >> 16n === first.token >> 16n;
          await client.query(add(balance));
          await sync.commit(
            { when: [grant.isOwner], then: [{ ...note, put: `${key}/other` }] },
            { in: client },
          );
        }),
      ),
    );
    const released = await inClient(pool, async (client) => {
      await client.query(add(await read(client)));
      const done = await sync.commit({ when: [first.isOwner], then: [note] }, { in: client });
      if (!done.ok) throw new Error(done.why);
      whileIdle = asked;
      const releasing = watch(first.release());
      await until(() => asked >= 3 || hasRead);
      return releasing;
    });
    await until(() => released.done && second.done);
    if (second.code !== undefined) throw new Error(second.code);
    return { balance: await read(pool), handedOn, asked: [whileIdle, asked] };
  } finally {
    await sync.stop();
    await pool.query(`DROP TABLE ${table}`);
  }
}

describe('callers of one process, whose proofs are in transactions', () => {
  test('hand the lock on after COMMIT, and ask for it only then', async () => {
    const { asked, ...rest } = await run([]);
    expect(rest).toEqual({ balance: 2, handedOn: true });
    expect(asked[0]).toBe(0);
  });

  test.each(Object.entries(mutants))('a known mistake is caught: %s', async (_, patch) => {
    expect((await run([patch])).balance).toBe(1);
  });
});
