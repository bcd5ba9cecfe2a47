import type { Grant, SyncManager } from 'holdfast';
import { postgres } from 'holdfast/postgres';
import { expect, test } from 'vitest';
import { live, lossesByGrant, Managers, uniqueKey, until } from '../scenarios/world.ts';
import { MovingAddress } from '../servers/moving-address.ts';
import { type PostgresServer, postgresUrl, startPostgres } from '../servers/postgres.ts';
import { startReplica } from '../servers/postgres-replica.ts';

/** Milliseconds: longer than it takes to promote a replica on a busy machine. */
const TTL = 20_000;
/** By which tokens rise at once where what is known of them may be too old. */
const JUMP = 2 ** 30;

/** More than the 32 by which what a replica knows of a sequence may be ahead. */
const CYCLES = 50;

const tokenOf = ({ token }: Grant): bigint => token;
const largest = (tokens: readonly bigint[]): bigint => tokens.reduce((a, b) => (a > b ? a : b), 0n);

function managersAt(address: string): Managers {
  const backend = () => postgres({ connectionString: postgresUrl(address), requestTimeout: 2_000 });
  return new Managers({ name: 'Postgres', ttl: TTL, lockDelay: 0, backend });
}

/** Standing claims, each with who tells its losses. */
async function hold(manager: SyncManager, count: number) {
  const locks = Array.from({ length: count }, () => manager.lock(uniqueKey('held')));
  const losses = locks.map(lossesByGrant);
  const grants = await Promise.all(locks.map((lock) => lock.lock()));
  return { locks, losses, grants };
}

async function cycles(manager: SyncManager, key: string): Promise<bigint[]> {
  const tokens: bigint[] = [];
  for (let n = 0; n < CYCLES; n++) tokens.push(await manager.withLock(key, tokenOf));
  return tokens;
}

async function number(server: PostgresServer, sql: string): Promise<number> {
  const [row] = await server.sql(`SELECT (${sql})::float8 AS n`);
  return Number(row?.n);
}

const lastRevision = (server: PostgresServer) => number(server, 'SELECT last_value FROM holdfast.revisions');
const soonestEnd = (server: PostgresServer) =>
  number(server, 'SELECT min(extract(epoch FROM expires)) FROM holdfast.sessions');

// Each has servers of its own.
test.concurrent.each(['synchronous', 'asynchronous'] as const)(
  'a replica that is %s is promoted',
  async (kind) => {
    await using primary = await startPostgres({ schema: true });
    await using replica = await startReplica(primary);
    await using address = await MovingAddress.open(primary.address);
    await using managers = managersAt(address.address);
    const [holder, worker, rival] = [managers.make(), managers.make(), managers.make()];
    if (kind === 'synchronous') {
      await primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
      await primary.sql('SELECT pg_reload_conf()');
      const isSynchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
      await until(async () => (await number(primary, isSynchronous)) === 1);
    }
    const kept = await hold(holder, 5);
    const contended = uniqueKey('contended');
    const tokens = await cycles(worker, contended);
    // Of a process that is gone: its session is to end once, and not to be kept for ever.
    const gone = managers.operator();
    const dead = await gone.openSession({ name: 'gone', ttl: 500, lockDelay: 0 }, live);
    await until(() => replica.isCaughtUp());
    if (kind === 'asynchronous') replica.cutOff();
    const late = await hold(holder, 5);
    tokens.push(...(await cycles(rival, contended)));
    const before = largest([...tokens, ...kept.grants.map(tokenOf), ...late.grants.map(tokenOf)]);

    await primary.kill();
    await replica.promote();
    const [known, ends] = [await lastRevision(replica), await soonestEnd(replica)];
    address.move(replica.address);

    // Each of them has to learn of it, and all at about the same time.
    const after = (
      await Promise.all([
        cycles(worker, contended),
        cycles(rival, contended),
        cycles(managers.make(), contended),
      ])
    ).flat();
    expect(after.every((token) => token > before)).toBe(true);
    expect(new Set(after).size).toBe(3 * CYCLES);
    const risen = (await lastRevision(replica)) - known;
    expect(risen).toBeGreaterThan(JUMP);
    expect(risen).toBeLessThan(1.5 * JUMP);
    expect(await soonestEnd(replica)).toBeGreaterThan(ends);
    await until(() => gone.renewSession(dead.id, live).then((answer) => answer === 'gone'));

    if (kind === 'synchronous') {
      expect(late.grants.map(({ held }) => held)).toEqual(late.grants.map(() => true));
    } else {
      const told = await Promise.all(late.grants.map((grant, n) => late.losses[n]?.(grant)));
      expect(told.map((loss) => loss?.reason)).toEqual(late.grants.map(() => 'record-gone'));
      const again = await Promise.all(late.locks.map((lock) => lock.lock()));
      expect(again.every(({ token }) => token > before)).toBe(true);
    }
    expect(kept.grants.map(({ held }) => held)).toEqual(kept.grants.map(() => true));
  },
  180_000,
);

test.concurrent('what pg_dump wrote is restored under those who use it: tokens rise all the same', async () => {
  await using server = await startPostgres({ schema: true });
  await using managers = managersAt(server.address);
  const [holder, worker] = [managers.make(), managers.make()];
  const key = uniqueKey('dumped');
  const kept = await hold(holder, 3);
  await cycles(worker, key);
  const { host, port } = new URL(`tcp://${server.address}`) as { host: string; port: string };
  const from = [
    '-h',
    host.split(':')[0] as string,
    '-p',
    port,
    '-U',
    'postgres',
    '--inserts',
    '-n',
    'holdfast',
  ];
  const dump = await server.program('pg_dump', [...from, 'postgres']);
  expect(dump).toMatchObject({ code: 0 });
  const before = largest(await cycles(worker, key));

  const statements = dump.stdout.replaceAll(/^\\.*$/gm, '');
  await server.sql(`BEGIN; DROP SCHEMA holdfast CASCADE; ${statements}; COMMIT`);
  const after = await cycles(worker, key);
  expect(after.every((token) => token > before)).toBe(true);
  expect(kept.grants.map(({ held }) => held)).toEqual([true, true, true]);
}, 120_000);

test.concurrent('all connections are ended by an administrator, again and again: nothing is lost', async () => {
  await using server = await startPostgres({ schema: true });
  await using managers = managersAt(server.address);
  const [holder, worker, rival] = [managers.make(), managers.make(), managers.make()];
  const kept = await hold(holder, 5);
  const key = uniqueKey('contended');
  const tokens: bigint[] = [];
  let ended = 0;
  const killing = (async () => {
    while (ended < 5) {
      const taken = tokens.length;
      await until(() => tokens.length >= taken + 10);
      const [row] = await server.sql(
        'SELECT count(pg_terminate_backend(pid))::int AS n FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid()',
      );
      expect(row?.n).toBeGreaterThan(0);
      ended += 1;
    }
  })();
  const work = async (manager: SyncManager): Promise<void> => {
    while (ended < 5) await manager.withLock(key, ({ token }) => void tokens.push(token));
  };
  await Promise.all([killing, work(worker), work(rival)]);
  expect(tokens).toEqual(tokens.toSorted((a, b) => Number(a - b)));
  expect(kept.grants.map(({ held }) => held)).toEqual(kept.grants.map(() => true));
}, 120_000);
