import { type Backend, type Grant, SyncManager } from 'holdfast';
import { postgres } from 'holdfast/postgres';
import pg from 'pg';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { live, uniqueKey, until } from '../scenarios/world.ts';
import { postgresUrl, startPostgres } from '../servers/postgres.ts';
import { watch } from '../sync/faulty.ts';
import { inClient } from './kinds.ts';

const url = postgresUrl(inject('postgresAddress'));
const pool = new pg.Pool({ connectionString: url, max: 20 });
const connect = (): Backend => postgres({ connectionString: url });
const manager = (ttl = 10_000): SyncManager =>
  new SyncManager({ name: 'svc', backend: connect(), session: { ttl, lockDelay: 0 } });

afterAll(() => pool.end());

const bytes = new Uint8Array([1]);
const data = (key: string) => ({ put: `${key}/data`, value: bytes });
const guarded = (grant: Grant) => ({ when: [grant.isOwner], then: [data(grant.key)] });

async function pidOf(client: pg.PoolClient): Promise<number> {
  return (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
}

/** How many wait at this moment for what a connection has locked. */
async function waitingFor(pid: number): Promise<number> {
  const { rows } = await pool.query(
    'SELECT count(*)::int AS n FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))',
    [pid],
  );
  return rows[0].n;
}

async function stands(key: string): Promise<boolean> {
  const { rowCount } = await pool.query('SELECT FROM holdfast.records WHERE key = $1', [key]);
  return rowCount === 1;
}

describe('the proof holds until COMMIT', () => {
  test.each<[string, (record: { key: string; revision: bigint }) => object]>([
    ['leaves', ({ key, revision }) => ({ when: [{ key, revision }], then: [{ remove: key }] })],
    ['removes it', ({ key }) => ({ when: [], then: [{ remove: key }] })],
    ['writes over it', ({ key }) => ({ when: [], then: [{ put: key, value: bytes }] })],
  ])('whoever %s waits', async (_, commit) => {
    await using sync = manager();
    await using other = connect();
    const grant = await sync.acquire(uniqueKey('k'));
    const { key, revision } = grant.isOwner;
    const late = await inClient(pool, async (client) => {
      expect(await sync.commit(guarded(grant), { in: client })).toMatchObject({ ok: true });
      const asked = watch(other.commit(commit({ key, revision }) as never, live));
      const pid = await pidOf(client);
      await until(async () => asked.done || (await waitingFor(pid)) > 0);
      expect(asked.done).toBe(false);
      return asked;
    });
    await until(() => late.done);
    expect(late.value).toMatchObject({ ok: true });
  });

  test('whoever changes it by hand waits', async () => {
    await using sync = manager();
    const grant = await sync.acquire(uniqueKey('k'));
    const late = await inClient(pool, async (client) => {
      await sync.commit(guarded(grant), { in: client });
      const update = "UPDATE holdfast.records SET value = '' WHERE key = $1";
      const asked = watch(pool.query(update, [grant.isOwner.key]));
      const pid = await pidOf(client);
      await until(async () => asked.done || (await waitingFor(pid)) > 0);
      expect(asked.done).toBe(false);
      return asked;
    });
    await until(() => late.done);
    expect(late.value?.rowCount).toBe(1);
  });

  test('also where its session is past its time: it is buried after', async () => {
    await using backend = connect();
    const { id } = await backend.openSession({ name: 'svc', ttl: 2_000, lockDelay: 0 }, live);
    const key = `${backend.lockPath(uniqueKey('k'))}${id}`;
    const put = await backend.commit({ when: [], then: [{ put: key, value: bytes, session: id }] }, live);
    if (!put.ok) throw new Error(put.why);
    const burying = async () =>
      (await pool.query('SELECT holdfast.bury_1(holdfast.run_1(), ARRAY[$1]) AS n', [id])).rows[0].n;
    await inClient(pool, async (client) => {
      const when = [{ key, revision: put.revision }];
      const committed = await backend.commitWithin?.(client, { when, then: [] });
      expect(committed?.result).toMatchObject({ ok: true });
      const over = 'SELECT FROM holdfast.sessions WHERE id = $1 AND expires <= clock_timestamp()';
      await until(async () => (await pool.query(over, [id])).rowCount === 1);
      expect(await burying()).toBe(0);
      expect(await stands(key)).toBe(true);
    });
    await until(async () => (await burying()) === 1 || !(await stands(key)));
    expect(await stands(key)).toBe(false);
  });

  test('after which others are told once; rolled back, never', async () => {
    await using sync = manager();
    const key = uniqueKey('k');
    const listener = new pg.Client({ connectionString: url });
    await listener.connect();
    let told = 0;
    listener.on('notification', ({ payload }) => {
      if (payload?.includes(key)) told++;
    });
    await listener.query('LISTEN holdfast');
    await pool.query('SELECT holdfast.watch_1(holdfast.run_1(), $1, ARRAY[$2], 60)', [key, `${key}/data`]);
    const commit = { then: [data(key)] };
    const rolledBack = inClient(pool, async (client) => {
      await sync.commit(commit, { in: client });
      throw new Error('no');
    });
    await expect(rolledBack).rejects.toThrow('no');
    await inClient(pool, (client) => sync.commit(commit, { in: client }));
    await until(() => told > 0);
    // What was notified after it comes after it.
    await pool.query("SELECT pg_notify('holdfast', $1)", [JSON.stringify([`${key}/end`])]);
    await until(() => told > 1);
    expect(told).toBe(2);
    await listener.end();
  });

  test('and is kept on disk, whatever the transaction says of it', async () => {
    await using sync = manager();
    const kept = await inClient(pool, async (client) => {
      await client.query('SET LOCAL synchronous_commit = off');
      await sync.commit({ then: [data(uniqueKey('k'))] }, { in: client });
      return (await client.query('SHOW synchronous_commit')).rows[0].synchronous_commit;
    });
    expect(kept).toBe('on');
  });
});

describe('giving back within the transaction', () => {
  const TTL = 1_000;

  test.each<
    [string, (sync: SyncManager, key: string, work: (grant: Grant) => Promise<void>) => Promise<void>]
  >([
    [
      'release',
      async (sync, key, work) => {
        const grant = await sync.acquire(key);
        await work(grant);
        await grant.release();
      },
    ],
    ['withLock', (sync, key, work) => sync.withLock(key, work)],
  ])('is no deadlock: %s resolves, and others come after COMMIT', async (_, hold) => {
    await using sync = manager(TTL);
    await using other = manager();
    const key = uniqueKey('k');
    const [next, behind] = await inClient(pool, async (client) => {
      await hold(sync, key, async (grant) => {
        expect(await sync.commit(guarded(grant), { in: client })).toMatchObject({ ok: true });
      });
      const waiting = [watch(other.acquire(key)), watch(sync.acquire(key))] as const;
      // It goes on at the store, where the record is locked.
      const pid = await pidOf(client);
      await until(async () => (await waitingFor(pid)) > 0);
      expect(waiting.map(({ done }) => done)).toEqual([false, false]);
      return waiting;
    });
    await until(() => next?.done || behind?.done);
    await until(async () => {
      await Promise.all([next?.value?.release(), behind?.value?.release()]);
      return next?.done && behind?.done;
    });
    expect(await stands(`${key}/data`)).toBe(true);
  });
});

test('what is given back while its transaction is open holds up nothing else', async () => {
  // Whoever waited for the transaction would wait for longer than anybody here.
  const backend = postgres({ connectionString: url, requestTimeout: 100_000 });
  await using sync = new SyncManager({ name: 'svc', backend, session: { ttl: 1_000, lockDelay: 0 } });
  const grants = await Promise.all([1, 2, 3].map(() => sync.acquire(uniqueKey('k'))));
  await inClient(pool, async (client) => {
    for (const grant of grants) await sync.commit(guarded(grant), { in: client });
    const pid = await pidOf(client);
    const given = grants.map((grant) => grant.release());
    await until(async () => (await waitingFor(pid)) > 0);
    await Promise.all(given);
    for (let n = 0; n < 5; n++) await (await sync.acquire(uniqueKey('other'), { timeout: 20_000 })).release();
    for (const { isOwner } of grants) expect(await stands(isOwner.key)).toBe(true);
  });
  for (const { isOwner } of grants) await until(async () => !(await stands(isOwner.key)));
}, 60_000);

describe('isolation', () => {
  const levels = ['REPEATABLE READ', 'SERIALIZABLE'];

  test.each(levels)(
    '%s: a missing record without a put of it is refused by name, and so is a count',
    async (level) => {
      await using sync = manager();
      await using backend = connect();
      const key = uniqueKey('k');
      await inClient(
        pool,
        async (client) => {
          for (const is of ['absent', 'unowned'] as const) {
            const lone = sync.commit({ when: [{ key, is }], then: [data(key)] }, { in: client });
            await expect(lone).rejects.toMatchObject({ code: 'invalid-option', outcome: 'refused' });
            await expect(lone).rejects.toThrow(`a transaction that is ${level} cannot have a condition`);
          }
          const count = backend.commitWithin?.(client, { when: [], then: [data(key)], count: key });
          await expect(count).rejects.toThrow('nor count');
          // Nothing is wrong with the transaction.
          const put = await sync.commit(
            { when: [{ key, is: 'absent' }], then: [{ put: key, value: bytes }] },
            { in: client },
          );
          expect(put).toMatchObject({ ok: true });
        },
        `BEGIN ISOLATION LEVEL ${level}`,
      );
      expect([await stands(key), await stands(`${key}/data`)]).toEqual([true, false]);
    },
  );

  test.each(levels)('%s: what was changed since it began is told, and never passes', async (level) => {
    await using sync = manager();
    const [removed, made] = [uniqueKey('removed'), uniqueKey('made')];
    const before = await sync.commit({ then: [{ put: removed, value: bytes }] });
    if (!before.ok) throw new Error(before.why);
    const conditions = [
      { when: [{ key: removed, revision: before.revision }], then: [data(removed)] },
      { when: [{ key: made, is: 'absent' as const }], then: [{ put: made, value: bytes }] },
    ];
    const begun = `BEGIN ISOLATION LEVEL ${level}`;
    for (const commit of conditions) {
      const late = inClient(
        pool,
        async (client) => {
          await client.query('SELECT 1');
          await sync.commit({ then: [{ remove: removed }, { put: made, value: bytes }] });
          await sync.commit(commit, { in: client });
        },
        begun,
      );
      await expect(late).rejects.toMatchObject({ code: 'unavailable', outcome: 'refused' });
      await sync.commit({ then: [{ remove: made }, { put: removed, value: bytes }] });
    }
    expect(await stands(`${removed}/data`)).toBe(false);
  });

  test('two that wait for each other: one is told to run again, and the other one goes on', async () => {
    await using sync = manager();
    const [one, two] = [uniqueKey('one'), uniqueKey('two')];
    await sync.commit({
      then: [
        { put: one, value: bytes },
        { put: two, value: bytes },
      ],
    });
    const begun = { count: 0 };
    const both = [
      [one, two],
      [two, one],
    ].map((keys) =>
      inClient(pool, async (client) => {
        await client.query("SET LOCAL deadlock_timeout = '50ms'");
        for (const key of keys) {
          await sync.commit({ then: [{ put: key, value: bytes }] }, { in: client });
          begun.count++;
          await until(() => begun.count >= 2);
        }
      }),
    );
    const results = await Promise.allSettled(both);
    const failed = results.filter((result) => result.status === 'rejected');
    expect(failed).toHaveLength(1);
    expect(failed[0]?.reason).toMatchObject({ code: 'unavailable', outcome: 'refused' });
    expect(failed[0]?.reason.message).toContain('roll the transaction back, and run it again');
  });
});

describe('a transaction that comes to nothing', () => {
  test.each([
    ['55P03', "SET LOCAL lock_timeout = '200ms'"],
    ['57014', "SET LOCAL statement_timeout = '200ms'"],
  ])(
    'TF7: with %s, by a bound of its own, is the error of who asked, and nothing was written',
    async (_, bound) => {
      await using sync = manager();
      const key = uniqueKey('k');
      await sync.commit({ then: [data(key)] });
      const revision = (
        await pool.query('SELECT revision FROM holdfast.records WHERE key = $1', [`${key}/data`])
      ).rows[0].revision;
      await inClient(pool, async (blocking) => {
        await blocking.query('SELECT FROM holdfast.records WHERE key = $1 FOR UPDATE', [`${key}/data`]);
        const commit = inClient(pool, async (client) => {
          await client.query(bound);
          await sync.commit({ then: [data(key), { put: `${key}/other`, value: bytes }] }, { in: client });
        });
        await expect(commit).rejects.toMatchObject({ code: 'unavailable', outcome: 'refused' });
      });
      expect(await stands(`${key}/other`)).toBe(false);
      const { rows } = await pool.query('SELECT revision FROM holdfast.records WHERE key = $1', [
        `${key}/data`,
      ]);
      expect(rows[0].revision).toBe(revision);
      await expect(sync.commit({ then: [data(key)] })).resolves.toMatchObject({ ok: true });
    },
  );

  test('TF8: that stays idle until the server ends it has written nothing, and its lock goes on', async () => {
    await using sync = manager();
    await using other = manager();
    const grant = await sync.acquire(uniqueKey('k'));
    const client = await pool.connect();
    const ended = new Promise((resolve) => client.once('error', resolve));
    await client.query("BEGIN; SET LOCAL idle_in_transaction_session_timeout = '200ms'");
    await sync.commit(guarded(grant), { in: client });
    const next = watch(other.acquire(grant.key));
    await ended;
    client.release(true);
    expect(await stands(`${grant.key}/data`)).toBe(false);
    expect([grant.held, next.done]).toEqual([true, false]);
    await grant.release();
    await until(() => next.done);
    await next.value?.release();
  });
});

test('another primary: the transaction is to be run again, and then it is known', async () => {
  await using server = await startPostgres({ schema: true });
  // Asks nothing by itself, and so is not told first.
  await using backend = postgres({ connectionString: server.url, listen: false });
  const own = new pg.Pool({ connectionString: server.url });
  // The server is gone before the last connection is.
  own.on('error', () => undefined);
  await backend.commit({ when: [], then: [data('k')] }, live);
  const change =
    "CREATE OR REPLACE FUNCTION holdfast.timeline_1() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT 'FFFFFFFE' $$";
  await server.sql(change);
  const commit = () =>
    inClient(own, async (client) => backend.commitWithin?.(client, { when: [], then: [data('k')] }));
  await expect(commit()).rejects.toMatchObject({ code: 'unavailable', outcome: 'refused' });
  await expect(commit()).resolves.toMatchObject({ result: { ok: true } });
  await own.end();
});
