import type { Grant, SyncManager, SyncManagerOptions } from 'holdfast';
import { postgres } from 'holdfast/postgres';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { currentSession, live, Managers, stateOf, uniqueKey, until, type World } from '../scenarios/world.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { CountedPool } from './counted-pool.ts';

/** Milliseconds. So long that nothing is renewed and nothing ends meanwhile, however slow the machine is. */
const TTL = 600_000;

// A server of its own: what it writes is counted exactly, and nothing else of it writes.
let server: PostgresServer;
let world: World;
let wal: Client;

beforeAll(async () => {
  server = await startPostgres({ schema: true, settings: { autovacuum: 'off', checkpoint_timeout: '1h' } });
  wal = new Client({ connectionString: server.url });
  await wal.connect();
  await wal.query('CREATE EXTENSION pg_walinspect');
  const backend = () => postgres({ connectionString: server.url });
  world = { name: 'Postgres', ttl: TTL, lockDelay: 0, backend };
});
afterAll(async () => {
  await wal?.end();
  await server?.[Symbol.asyncDispose]();
});

interface Written {
  readonly commits: number;
  readonly records: number;
}

/** What `work` has written, from the log itself. */
async function written(work: () => Promise<void>): Promise<Written> {
  const end = async (): Promise<string> =>
    (await wal.query('SELECT pg_current_wal_insert_lsn()::text AS at')).rows[0].at;
  const before = await end();
  await work();
  const after = await end();
  if (before === after) return { commits: 0, records: 0 };
  // What the server notes down for its replicas from time to time is not of the work.
  const { rows } = await wal.query(
    `SELECT count(*)::int AS records, count(*) FILTER (WHERE record_type = 'COMMIT')::int AS commits
     FROM pg_get_wal_records_info($1, $2) WHERE resource_manager NOT IN ('Standby', 'XLOG')`,
    [before, after],
  );
  return rows[0];
}

/** Notices that were sent during `work`. */
async function notices(work: () => Promise<void>): Promise<number> {
  const listener = new Client({ connectionString: server.url });
  await listener.connect();
  let heard = 0;
  listener.on('notification', ({ payload }) => {
    if (payload !== 'the end') heard++;
  });
  await listener.query('LISTEN holdfast');
  await work();
  const before = heard;
  // Notices come in the order of the commits: this one last.
  const ended = new Promise((resolve) =>
    listener.on('notification', ({ payload }) => payload === 'the end' && resolve(undefined)),
  );
  await server.sql(`SELECT pg_notify('holdfast', 'the end')`);
  await ended;
  await listener.end();
  return Math.max(before, heard);
}

const pools: CountedPool[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool[Symbol.asyncDispose]()));
});

/** A manager that has connected, and its statements. */
async function warmed(
  managers: Managers,
  options: Partial<SyncManagerOptions> = {},
): Promise<{ sync: SyncManager; pool: CountedPool }> {
  const pool = new CountedPool(server.url);
  pools.push(pool);
  const sync = managers.make({ backend: postgres({ pool, listen: server.url }), ...options });
  await (await sync.acquire(uniqueKey('warm'))).release();
  await until(() => pool.listens);
  return { sync, pool };
}

test('an uncontended acquire and release: 2 requests, 2 commits, at most 10 records in the log, no notice', async () => {
  await using managers = new Managers(world);
  const { sync, pool } = await warmed(managers);
  const key = uniqueKey('cycle');
  await (await sync.acquire(key)).release();
  const cycles = 25;
  const before = pool.statements;
  let cost: Written = { commits: 0, records: 0 };
  const sent = await notices(async () => {
    cost = await written(async () => {
      for (let cycle = 0; cycle < cycles; cycle++) await (await sync.acquire(key)).release();
    });
  });
  expect(pool.statements - before).toBe(2 * cycles);
  expect(cost.commits).toBe(2 * cycles);
  expect(cost.records).toBeLessThanOrEqual(10 * cycles);
  expect(sent).toBe(0);
});

test('a renewal is one commit', async () => {
  await using managers = new Managers(world);
  const { sync } = await warmed(managers);
  const session = currentSession(sync) ?? '';
  const operator = managers.operator();
  // By another client, which has to connect before.
  await operator.renewSession(session, live);
  const { commits } = await written(async () => {
    expect(await operator.renewSession(session, live)).toBe('renewed');
  });
  expect(commits).toBe(1);
});

test('acquires and releases of 20 keys issued together are one request each way', async () => {
  await using managers = new Managers(world);
  const { sync, pool } = await warmed(managers);
  const keys = Array.from({ length: 20 }, () => uniqueKey('together'));
  const grants: Grant[] = [];
  const before = pool.statements;
  const { commits } = await written(async () => {
    grants.push(...(await Promise.all(keys.map((key) => sync.acquire(key)))));
  });
  expect([pool.statements - before, commits]).toEqual([1, 1]);
  const given = await written(async () => void (await Promise.all(grants.map((grant) => grant.release()))));
  expect([pool.statements - before, given.commits]).toEqual([2, 1]);
});

test('50 managers in line for one key: 2 commits and at most 5 requests a turn, in the order of asking', async () => {
  await using managers = new Managers(world);
  const holder = await managers.make().acquire('herd');
  const clients = await Promise.all(Array.from({ length: 50 }, () => warmed(managers)));
  const statements = (): number => clients.reduce((sum, { pool }) => sum + pool.statements, 0);
  const before = statements();
  const order: number[] = [];
  const turns: Promise<void>[] = [];
  const { commits } = await written(async () => {
    for (const [number, { sync }] of clients.entries()) {
      const lock = sync.lock('herd');
      const turn = lock.lock().then(async (grant) => {
        order.push(number);
        await grant.release();
      });
      turns.push(turn);
      await stateOf(lock, 'waiting');
    }
    await holder.release();
    await Promise.all(turns);
  });
  expect(order).toEqual(clients.map((_, number) => number));
  // Those of the holder: its release.
  expect(commits).toBe(2 * clients.length + 1);
  expect((statements() - before) / clients.length).toBeLessThanOrEqual(5);
});

test('who waits behind the holder alone is told by the notice itself, and looks at nothing', async () => {
  await using managers = new Managers(world);
  const [{ sync }, { sync: next, pool }] = [await warmed(managers), await warmed(managers)];
  const key = uniqueKey('hand-off');
  for (let turn = 0; turn < 5; turn++) {
    const grant = await sync.acquire(key);
    const looks = pool.count('look');
    const taking = next.acquire(key);
    await until(() => pool.count('look') > looks && pool.listens);
    const before = pool.statements;
    await grant.release();
    const taken = await taking;
    expect(pool.statements - before).toBe(0);
    await taken.release();
  }
});

/** Of our clients, as the server sees them. */
async function connections(): Promise<number> {
  const text = `SELECT count(*)::int AS number FROM pg_stat_activity WHERE application_name = 'holdfast'`;
  return (await wal.query(text)).rows[0].number;
}

/** Milliseconds: long enough that a busy machine does not cost the session, which is renewed three times in it. */
const HELD_FOR = 12_000;

test('2,000 locks held: one renewal for all of them, looks of a hundred and more', async () => {
  await using managers = new Managers(world);
  const { sync, pool } = await warmed(managers, { session: { ttl: HELD_FOR, lockDelay: 0 } });
  const stem = uniqueKey('held');
  const locks = 2_000;
  const grants = await Promise.all(
    Array.from({ length: locks }, (_, number) => sync.acquire(`${stem}/${number}`)),
  );
  const [renewals, begun] = [pool.count('renew'), performance.now()];
  // All were looked at, and by then renewed several times.
  await until(() => pool.count('check') > 0 && pool.count('renew') >= renewals + 3);
  const periods = (performance.now() - begun) / (HELD_FOR / 3);
  expect(pool.count('renew') - renewals).toBeLessThanOrEqual(Math.ceil(periods) + 1);
  expect(pool.count('check')).toBeLessThanOrEqual((2 * locks) / 100);
  expect(grants.every(({ held }) => held)).toBe(true);
});

test('2,000 locks held: two connections at most beside those that renew and listen', async () => {
  await using managers = new Managers(world);
  await until(async () => (await connections()) === 0);
  const sync = managers.make({ session: { ttl: HELD_FOR, lockDelay: 0 } });
  const stem = uniqueKey('held');
  const grants = await Promise.all(
    Array.from({ length: 2_000 }, (_, number) => sync.acquire(`${stem}/${number}`)),
  );
  const renewals = new Set<string>();
  const most: number[] = [];
  // By then all have been looked at.
  await until(async () => {
    const text = 'SELECT expires::text FROM holdfast.sessions WHERE id = $1';
    renewals.add((await wal.query(text, [currentSession(sync)])).rows[0]?.expires);
    most.push(await connections());
    return renewals.size > 3;
  });
  expect(Math.max(...most)).toBeLessThanOrEqual(4);
  expect(grants.every(({ held }) => held)).toBe(true);
});
