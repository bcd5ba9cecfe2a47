import { isSyncError, SyncManager } from 'holdfast';
import { installSql, type PostgresOptions, postgres } from 'holdfast/postgres';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { live, until } from '../scenarios/world.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { installInto, urlFor } from './databases.ts';

const PASSWORD = 'correct-horse';
const SESSION = { name: 'svc', ttl: 5_000, lockDelay: 0 };

let server: PostgresServer;
/** As somebody who may be asked for a password. */
const secret = (password?: string) =>
  urlFor(server, { user: 'secret', ...(password !== undefined && { password }) });

beforeAll(async () => {
  server = await startPostgres({ schema: true });
  await server.sql(
    `CREATE ROLE secret LOGIN PASSWORD '${PASSWORD}';
     CREATE ROLE stranger LOGIN;
     CREATE ROLE crowded LOGIN CONNECTION LIMIT 1`,
  );
  await server.sql(
    "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
  );
  const [row] = await server.sql('SHOW hba_file');
  const rules = "VALUES ('host all secret all scram-sha-256'), ('host all all all trust')";
  await server.sql(`COPY (${rules}) TO '${String(row?.hba_file)}'`);
  await server.sql('SELECT pg_reload_conf()');
  await until(() => refusal({ connectionString: secret() }).then(isSyncError));
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** What the first call of a client is told, whichever it is; nothing if it is not refused. */
async function refusal(options: PostgresOptions): Promise<unknown> {
  await using backend = postgres(options);
  const asError = (error: unknown): unknown => error;
  const opened = await backend.openSession(SESSION, live).then(() => undefined, asError);
  const read = await backend.query({ prefix: 'a/' }, { signal: live }).then(() => undefined, asError);
  expect(String(read)).toBe(String(opened));
  return opened;
}

async function sessionsIn(schema: string, url = server.url): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(`SELECT count(*)::int AS n FROM "${schema}".sessions`);
  await client.end();
  return (rows[0] as { n: number }).n;
}

describe('a database that cannot be used is refused in one sentence', () => {
  test('without the schema', async () => {
    expect(await refusal({ connectionString: server.url, schema: 'none' })).toMatchObject({
      code: 'rejected',
      outcome: 'refused',
      message: expect.stringMatching(/^the schema "none" is not in this database.*holdfast-postgres sql/),
    });
  });

  test.each([
    ['too old', 'version = 0', /^the schema "too old" is of version 0, and version 1 is needed: run/],
    [
      'too new',
      'version = 7, readable_from = 7',
      /^the schema "too new" is of version 7.*: update holdfast$/,
    ],
  ])('with one that is %s, and nothing is done in it', async (schema, set, message) => {
    await installInto(server.url, { schema });
    await server.sql(`UPDATE "${schema}".meta SET ${set}`);
    const options = { connectionString: server.url, schema };
    expect(await refusal(options)).toMatchObject({
      code: 'rejected',
      outcome: 'refused',
      message: expect.stringMatching(message),
    });
    expect(await sessionsIn(schema)).toBe(0);
  });

  test('with a newer one that says it can be used, it is', async () => {
    await installInto(server.url, { schema: 'newer' });
    await server.sql('UPDATE newer.meta SET version = 7');
    expect(await refusal({ connectionString: server.url, schema: 'newer' })).toBeUndefined();
  });

  test('with another encoding than UTF8, by install and by its clients', async () => {
    const url = urlFor(server, { database: 'bytes' });
    await expect(installInto(url)).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringContaining('needs a database with the encoding UTF8, not SQL_ASCII'),
    });
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(installSql().replace("<> 'UTF8'", "= 'none'"));
    await client.end();
    expect(await refusal({ connectionString: url })).toMatchObject({
      code: 'rejected',
      message: expect.stringMatching(/in a database with the encoding SQL_ASCII: it needs one with UTF8$/),
    });
    expect(await sessionsIn('holdfast', url)).toBe(0);
  });

  test('where the schema is used for something else, by install', async () => {
    await server.sql('CREATE SCHEMA theirs; CREATE TABLE theirs.meta (version int)');
    await expect(installInto(server.url, { schema: 'theirs' })).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringContaining('holds something that is not of holdfast: choose another one'),
    });
  });

  test('where everybody may create functions beside ours, by install', async () => {
    await server.sql('CREATE SCHEMA open; GRANT CREATE ON SCHEMA open TO PUBLIC');
    await expect(installInto(server.url, { schema: 'open' })).rejects.toMatchObject({
      code: 'rejected',
      message: expect.stringContaining('everybody may create something in the schema "open"'),
    });
  });
});

describe('who is not let in is told why', () => {
  test('a role without rights', async () => {
    const url = urlFor(server, { user: 'stranger' });
    expect(await refusal({ connectionString: url })).toMatchObject({
      code: 'permission-denied',
      outcome: 'refused',
      message: expect.stringMatching(
        /denied the role a right.*"holdfast" grant what is missing, with `install`/,
      ),
    });
    await expect(installInto(url, { schema: 'mine' })).rejects.toMatchObject({ code: 'permission-denied' });
  });

  test.each([
    [
      'a wrong password',
      'geheim',
      /did not let the role in \(password authentication failed for user "secret"\)/,
    ],
    ['no password', undefined, /asks for a password, which is missing/],
  ])('%s', async (_, password, message) => {
    const told = await refusal({ connectionString: secret(password) });
    expect(told).toMatchObject({
      code: 'permission-denied',
      outcome: 'refused',
      message: expect.stringMatching(message),
    });
    expect(`${String(told)} ${String((told as Error).cause)}`).not.toContain('geheim');
  });

  test('a database that is not there', async () => {
    const url = urlFor(server, { database: 'missing' });
    expect(await refusal({ connectionString: url })).toMatchObject({
      code: 'permission-denied',
      message: expect.stringContaining('Postgres has no such database (database "missing" does not exist)'),
    });
  });

  test('a role whose connections are used up', async () => {
    const url = urlFor(server, { user: 'crowded' });
    const other = new Client({ connectionString: url });
    await other.connect();
    const told = await refusal({ connectionString: url });
    await other.end();
    expect(told).toMatchObject({
      code: 'unavailable',
      outcome: 'refused',
      message: expect.stringMatching(/no connection left.*or go through PgBouncer$/),
    });
  });

  test.each(['localhost', '127.0.0.1'])('where no server is, at %s', async (host) => {
    expect(await refusal({ connectionString: `postgres://svc:geheim@${host}:1/db` })).toMatchObject({
      code: 'unavailable',
      outcome: 'refused',
      message: expect.stringMatching(
        /^the connection to Postgres was lost or not made \([^)]*ECONNREFUSED[^)]*\)$/,
      ),
    });
  });
});

describe('a function of the application', () => {
  const bad: [string, () => unknown, string][] = [
    ['throws', () => throws(new Error('cannot')), 'not made (cannot)'],
    ['throws what is no error', () => throws('a word'), 'not made (a word)'],
    [
      'rejects with an address',
      () => Promise.reject(new Error('at postgres://me:geheim@db/x')),
      'at postgres://me:***@db/x',
    ],
    ['gives no rows', () => ({ rows: [] }), 'must give an array of rows'],
  ];
  test.each(bad)('that %s is told', async (_, query, message) => {
    const told = await refusal({ query: query as never });
    expect(isSyncError(told)).toBe(true);
    expect((told as Error).message).toContain(message);
    expect((told as Error).message).not.toContain('geheim');
  });

  const throws = (what: unknown): never => {
    throw what;
  };
});

describe('options', () => {
  const address = 'postgres://me:geheim@db/x';
  const pool = { connect: async () => throwing() };
  const throwing = (): never => {
    throw new Error('not to be called');
  };
  const wrong: [string, unknown, string][] = [
    ['none', undefined, '"options" must be an object'],
    ['no way', {}, '"connectionString" is missing'],
    [
      'two ways',
      { connectionString: address, pool },
      '"pool" must not be given together with "connectionString"',
    ],
    ['two others', { pool, query: throwing }, '"query" must not be given together with "pool"'],
    [
      'an unknown one',
      { connectionString: address, shema: 'x' },
      '"shema" is unknown: did you mean "schema"?',
    ],
    ['no address', { connectionString: 'me:geheim@db' }, '"connectionString" must be an address'],
    ['no URL', { connectionString: 'postgres://me:geheim@db:x/y' }, '"connectionString" must be an address'],
    ['nowhere to listen', { pool, listen: 'geheim' }, '"listen" must be an address'],
    ['no pool', { pool: {} }, '"pool" must be a Pool'],
    ['no function', { query: 'SELECT' }, '"query" must be a function'],
    ['no time', { pool, requestTimeout: 0 }, '"requestTimeout" must be'],
    ['no name', { pool, schema: '' }, '"schema" must be a name'],
    ['dollars', { pool, schema: 'a$$b' }, '"schema" must be a name, not empty and without "$"'],
    ['a long name', { pool, schema: 'é'.repeat(32) }, '"schema" must have at most 63 bytes'],
  ];
  test.each(wrong)('%s: refused by name, without a secret', (_, options, message) => {
    const told = refusalOf(() => postgres(options as PostgresOptions));
    expect(told).toMatchObject({
      code: 'invalid-option',
      message: expect.stringContaining(`option ${message}`),
    });
    expect(String(told)).not.toContain('geheim');
  });

  test('of install as well', () => {
    for (const options of [{ rol: 'x' }, { role: '' }, { role: 'a$install$' }, { schema: 'a$' }]) {
      expect(refusalOf(() => installSql(options as never))).toMatchObject({ code: 'invalid-option' });
    }
  });

  test('an address without a host is one', async () => {
    await using backend = postgres({ connectionString: 'postgres://me:geheim@/db?host=/nowhere' });
    expect(backend.traits.name).toBe('postgres');
  });

  const refusalOf = (make: () => unknown): unknown => {
    try {
      return make();
    } catch (error) {
      return error;
    }
  };
});

describe('a role of the application', () => {
  const app = () => urlFor(server, { user: "o'app", database: 'shop' });

  beforeAll(async () => {
    // Neither of them is a superuser.
    await server.sql(`CREATE ROLE owner LOGIN; CREATE ROLE "o'app" LOGIN`);
    await server.sql('CREATE DATABASE shop OWNER owner');
    const url = urlFor(server, { user: 'owner', database: 'shop' });
    const options = { schema: `it's "ours"`, role: "o'app" };
    await Promise.all([1, 2, 3].map(() => installInto(url, options)));
    await installInto(url, options);
  });

  test('does everything with USAGE and EXECUTE', async () => {
    const backend = () => postgres({ connectionString: app(), schema: `it's "ours"` });
    await using mine = new SyncManager({ name: 'svc', backend: backend(), session: { ttl: 3_000 } });
    await using other = new SyncManager({ name: 'svc', backend: backend(), session: { ttl: 3_000 } });
    const keys = Array.from({ length: 20 }, (_, n) => `k/${n}`);
    await Promise.all(keys.map((key) => mine.withLock(key, () => undefined)));
    const grant = await mine.acquire('orders/42');
    expect(await other.tryAcquire('orders/42')).toBeUndefined();
    const waiting = other.acquire('orders/42');
    const result = await mine.commit({
      when: [grant.isOwner],
      then: [{ put: 'orders/42/state', value: 'paid' }],
      read: { prefix: 'orders/42/state' },
    });
    expect(result).toMatchObject({ ok: true, read: [{ key: 'orders/42/state' }] });
    await grant.release();
    expect((await waiting).token).toBeGreaterThan(grant.token);
    await mine.leadership.lock.lock();
    expect(await other.leadership.ask()).toBeUndefined();
  });

  test('and may do nothing else', async () => {
    const client = new Client({ connectionString: app() });
    await client.connect();
    for (const text of ['DELETE FROM', 'SELECT * FROM', 'TRUNCATE'])
      for (const table of ['records', 'sessions', 'interests', 'meta'])
        await expect(client.query(`${text} "it's ""ours""".${table}`)).rejects.toThrow('permission denied');
    await expect(client.query(`SELECT nextval('"it''s ""ours""".revisions')`)).rejects.toThrow(
      'permission denied',
    );
    await expect(client.query(`CREATE TABLE "it's ""ours""".mine ()`)).rejects.toThrow('permission denied');
    await client.end();
  });

  test('nor call what only our own functions call, and nobody else may call any', async () => {
    const client = new Client({ connectionString: app() });
    await client.connect();
    const { rows } = await client.query(
      `SELECT proname AS name, has_function_privilege('stranger', oid, 'EXECUTE') AS open, has_function_privilege(oid, 'EXECUTE') AS ours
       FROM pg_proc WHERE pronamespace = to_regnamespace('"it''s ""ours"""') ORDER BY proname`,
    );
    const ending = client.query(`SELECT "it's ""ours""".end_sessions_1(ARRAY['x'])`);
    await expect(ending).rejects.toThrow('permission denied for function end_sessions_1');
    await client.end();
    expect(rows.filter(({ open }) => open)).toEqual([]);
    expect(rows.filter(({ ours }) => ours).map(({ name }) => name)).toEqual([
      'bury_1',
      'check_1',
      'close_1',
      'commit_1',
      'commit_within_1',
      'enter_1',
      'enter_many_1',
      'hello_1',
      'leave_1',
      'leave_many_1',
      'look_1',
      'open_1',
      'renew_1',
      'unwatch_1',
      'watch_1',
    ]);
    expect(rows.length).toBeGreaterThan(25);
  });

  test('may commit in a transaction of its own', async () => {
    await using backend = postgres({ connectionString: app(), schema: `it's "ours"` });
    const client = new Client({ connectionString: app() });
    await client.connect();
    await client.query('BEGIN');
    const then = [{ put: 'k', value: new Uint8Array([1]) }];
    const committed = await backend.commitWithin?.(client, { when: [], then });
    const over = committed?.ended(live);
    await client.query('COMMIT');
    await over;
    await client.end();
    expect((await backend.query({ key: 'k' }, { signal: live })).records).toHaveLength(1);
  });
});
