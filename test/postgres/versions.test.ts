import { SyncManager } from 'holdfast';
import { install, postgres } from 'holdfast/postgres';
import { Pool } from 'pg';
import { describe, expect, test } from 'vitest';
import { live, lossesByGrant, Managers, next, uniqueKey, until } from '../scenarios/world.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { installInto, urlFor } from './databases.ts';

/** A migration as there may be one: what it adds has defaults, and stands beside what was there. */
const ADDITIVE = `BEGIN;
  ALTER TABLE holdfast.records ADD COLUMN age bigint GENERATED ALWAYS AS (-created) STORED;
  ALTER TABLE holdfast.sessions ADD COLUMN zone text NOT NULL DEFAULT 'z';
  ALTER TABLE holdfast.interests ADD COLUMN zone text NOT NULL DEFAULT 'z';
  CREATE TABLE holdfast.zones (zone text PRIMARY KEY);
  CREATE FUNCTION holdfast.open_2(p_timeline text, p_name text, p_ttl int, p_zone text) RETURNS text
    LANGUAGE sql SECURITY DEFINER SET search_path = holdfast, pg_catalog, pg_temp AS $$
      WITH opened AS (SELECT open_1(p_timeline, p_name, p_ttl) AS id) SELECT id FROM opened $$;
  UPDATE holdfast.meta SET version = 2;
COMMIT`;

/** One that the library of version 1 cannot live with. */
const BREAKING = `BEGIN;
  CREATE OR REPLACE FUNCTION holdfast.run_1() RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'of version 2' $$;
  UPDATE holdfast.meta SET version = 2, readable_from = 2;
COMMIT`;

const TOO_NEW =
  /^the schema "holdfast" is of version 2, which is too new for this version of holdfast: update holdfast$/;

function managersAt(server: PostgresServer, ttl: number): Managers {
  const backend = () => postgres({ connectionString: server.url });
  return new Managers({ name: 'Postgres', ttl, lockDelay: 0, backend });
}

describe('VF1: a schema of version 2, and a library of version 1', () => {
  test('that it may use: what is held stays held, who waits is served, and all goes on, in its order', async () => {
    await using server = await startPostgres({ schema: true });
    await using managers = managersAt(server, 20_000);
    const [holder, waiter, worker, late] = Array.from({ length: 4 }, () => managers.make());
    const [held, wanted] = [uniqueKey('held'), uniqueKey('wanted')];
    const standing = holder?.lock(held);
    const grant = await standing?.lock();
    const first = await holder?.acquire(wanted);
    const turn = waiter?.acquire(wanted);
    let [cycles, over] = [0, false];
    const tokens: bigint[] = [];
    const working = (async () => {
      while (!over) {
        await worker?.withLock(uniqueKey('a'), ({ token }) => void tokens.push(token));
        cycles++;
      }
    })();
    await until(() => cycles > 20);

    await server.sql(ADDITIVE);
    const then = cycles;
    await until(() => cycles > then + 20);
    over = true;
    await working;
    expect(tokens).toEqual(tokens.toSorted((a, b) => Number(a - b)));
    expect([grant?.held, standing?.grant === grant, first?.held]).toEqual([true, true, true]);
    await first?.release();
    expect((await turn)?.token).toBeGreaterThan(first?.token ?? 0n);

    // In each order in which records can be asked for, and by a process that has come after.
    const backend = managers.operator();
    const stem = uniqueKey('order');
    for (const name of ['b', 'a', 'c'])
      await backend.commit({ when: [], then: [{ put: `${stem}/${name}`, value: new Uint8Array() }] }, live);
    const names = async (scope: object) =>
      (await backend.query({ prefix: `${stem}/`, ...scope }, { signal: live })).records.map(({ key }) =>
        key.at(-1),
      );
    expect(await names({})).toEqual(['a', 'b', 'c']);
    expect(await names({ oldest: 3 })).toEqual(['b', 'a', 'c']);
    expect(await names({ youngest: 3, before: 2n ** 46n })).toEqual(['c', 'a', 'b']);
    const read = { when: [], then: [], read: { prefix: `${stem}/`, oldest: 3 } };
    const seen = await backend.commit(read, live);
    expect(seen.ok && seen.read?.map(({ key }) => key.at(-1))).toEqual(['b', 'a', 'c']);
    const many = await Promise.all([1, 2, 3].map((n) => late?.acquire(`${stem}/lock/${n}`)));
    expect(many.map((each) => each?.held)).toEqual([true, true, true]);
    const committed = await late?.commit({
      when: many.flatMap((each) => (each === undefined ? [] : [each.isOwner])),
      then: [{ put: `${stem}/d`, value: 'x' }],
    });
    expect(committed?.ok).toBe(true);
  });

  test('that it may not use: who comes is refused in one sentence, and who holds is told by its deadline', async () => {
    await using server = await startPostgres({ schema: true });
    await using managers = managersAt(server, 2_000);
    const manager = managers.make();
    const lock = manager.lock(uniqueKey('held'));
    const lossOf = lossesByGrant(lock);
    const grant = await lock.lock();
    const told = next(
      manager.events$,
      (event) => event.type === 'trouble' && TOO_NEW.test(String((event.error as Error).message)),
    );
    await server.sql(BREAKING);
    await told;
    await lossOf(grant);
    expect(grant.held).toBe(false);
    const refusal = { code: 'rejected', outcome: 'refused', message: expect.stringMatching(TOO_NEW) };
    const another = managers.operator();
    const session = { name: 'svc', ttl: 5_000, lockDelay: 0 };
    await expect(another.openSession(session, live)).rejects.toMatchObject(refusal);
    for (const sync of [manager, managers.make()])
      await expect(sync.acquire(uniqueKey('new'))).rejects.toMatchObject(refusal);
    const [row] = await server.sql(
      'SELECT count(*)::int AS n FROM holdfast.records WHERE session IS NOT NULL',
    );
    expect(row?.n).toBeLessThanOrEqual(1);
  });

  test('install of the older library leaves what it may use as it is, and refuses what it may not', async () => {
    await using server = await startPostgres({ schema: true });
    await server.sql(ADDITIVE);
    await installInto(server.url);
    const look = () => server.sql('SELECT version, readable_from FROM holdfast.meta');
    expect(await look()).toEqual([{ version: 2, readable_from: 1 }]);
    await server.sql(BREAKING);
    await expect(installInto(server.url)).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringContaining(
        'is of version 2, which is too new for this version of holdfast: update holdfast',
      ),
    });
    expect(await look()).toEqual([{ version: 2, readable_from: 2 }]);
  });
});

describe('install', () => {
  test('of which one fails leaves nothing', async () => {
    await using server = await startPostgres();
    await expect(installInto(server.url, { role: 'missing' })).rejects.toMatchObject({
      code: 'rejected',
      message: 'Postgres refused (role "missing" does not exist)',
    });
    expect(await server.sql("SELECT FROM pg_namespace WHERE nspname = 'holdfast'")).toEqual([]);
  });

  test('waits for another one that is under way, and finds its work done', async () => {
    await using server = await startPostgres();
    const pool = new Pool({ connectionString: server.url });
    const first = await pool.connect();
    const query = first.query.bind(first);
    await query('BEGIN');
    await install({ connect: async () => ({ query, release: () => undefined }) });
    const others = Promise.all([1, 2, 3].map(() => install(pool)));
    const waiting = "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    await until(async () => (await server.sql(waiting))[0]?.n === 3);
    await query('COMMIT');
    await others;
    first.release();
    await pool.end();
    await using sync = new SyncManager({ name: 'svc', backend: postgres({ connectionString: server.url }) });
    expect((await sync.acquire('k')).held).toBe(true);
  });

  test('by who is not its owner is refused, and changes nothing', async () => {
    await using server = await startPostgres({ schema: true });
    await server.sql(
      'CREATE ROLE stranger LOGIN; CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA holdfast TO stranger',
    );
    const url = urlFor(server, { user: 'stranger' });
    await expect(installInto(url, { role: 'app' })).rejects.toMatchObject({ code: 'permission-denied' });
    const [row] = await server.sql("SELECT has_schema_privilege('app', 'holdfast', 'USAGE') AS may");
    expect(row?.may).toBe(false);
  });
});
