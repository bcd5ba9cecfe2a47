import type { SyncManager } from 'holdfast';
import { postgres } from 'holdfast/postgres';
import { expect, test } from 'vitest';
import { live, lossesByGrant, Managers, sessionOf, stateOf, uniqueKey, until } from '../scenarios/world.ts';
import { MovingAddress } from '../servers/moving-address.ts';
import { type PostgresServer, postgresUrl, startPostgres } from '../servers/postgres.ts';
import { startReplica } from '../servers/postgres-replica.ts';

/** Milliseconds: longer than it takes to promote a replica on a busy machine. */
const TTL = 20_000;

function managersAt(address: string): Managers {
  const backend = () => postgres({ connectionString: postgresUrl(address), requestTimeout: 2_000 });
  return new Managers({ name: 'Postgres', ttl: TTL, lockDelay: 0, backend });
}

async function runOf(server: PostgresServer): Promise<string> {
  const [row] = await server.sql('SELECT holdfast.run_1() AS run');
  return String(row?.run);
}

async function hold(manager: SyncManager) {
  const lock = manager.lock(uniqueKey('held'));
  const lossOf = lossesByGrant(lock);
  return { grant: await lock.lock(), lossOf };
}

test('a replica is promoted while its primary lives on: who comes over is told what is gone, and tokens rise', async () => {
  await using primary = await startPostgres({ schema: true });
  await using replica = await startReplica(primary);
  await using address = await MovingAddress.open(primary.address);
  await using managers = managersAt(address.address);
  await using behind = managersAt(primary.address);
  // It reaches nobody but the old one, now and later.
  const isolated = behind.make({ session: { ttl: 3_000, lockDelay: 0 } });
  const alone = await hold(isolated);
  const holder = managers.make();
  const kept = await hold(holder);
  await until(() => replica.isCaughtUp());
  replica.cutOff();
  const late = await hold(holder);
  await replica.promote();
  address.move(replica.address);

  expect((await late.lossOf(late.grant)).reason).toBe('record-gone');
  expect(kept.grant.held).toBe(true);
  // What cannot be had: the old one still grants, to who can reach nobody else, and with smaller tokens.
  const old = await isolated.acquire(uniqueKey('old'));
  expect([alone.grant.held, old.held]).toEqual([true, true]);
  const next = await managers.make().acquire(alone.grant.key);
  for (const { token } of [alone.grant, late.grant, old]) expect(next.token).toBeGreaterThan(token);

  // Nothing that is meant for one is done by the other.
  const runs = await Promise.all([primary, replica].map(runOf));
  const session = await sessionOf(isolated);
  const statements = [
    'renew_1($1, $2)',
    'close_1($1, $2)',
    'bury_1($1, ARRAY[$2])',
    "enter_1($1, 'k/.lock/x', 'k/.lock/', '', $2, '{}')",
    "leave_1($1, $2, 'k/.lock/', 1, '{}')",
    "commit_1($1, jsonb_build_array(jsonb_build_object('when', '[]'::jsonb, 'then', '[]'::jsonb, 'x', $2::text)))",
    "check_1($1, jsonb_build_array(jsonb_build_object('when', '[]'::jsonb, 'x', $2::text)))",
    "look_1($1, ARRAY[$2], '{}', '{}', '{}', '{}', '{}')",
    "look_1($1, NULL, NULL, NULL, NULL, NULL, CASE WHEN $2 = '' THEN NULL::bigint[] END)",
    "watch_1($1, $2, '{}', 1)",
  ];
  for (const [server, run] of [
    [primary, runs[1]],
    [replica, runs[0]],
  ] as const)
    for (const statement of statements) {
      const asked = server.sql(`SELECT holdfast.${statement}`, [run, session]);
      await expect(asked, statement).rejects.toMatchObject({ code: 'HF001' });
    }

  // And once somebody ends the old one, nothing of it is believed any longer than its deadline.
  const told = alone.lossOf(alone.grant);
  await primary.kill();
  expect((await told).reason).toBe('deadline');
  expect([alone.grant.held, old.held]).toEqual([false, false]);
}, 120_000);

test('connections that stay with the old primary grant nothing beside the new one', async () => {
  await using primary = await startPostgres({ schema: true });
  await using replica = await startReplica(primary);
  await using first = managedAt(await MovingAddress.open(primary.address));
  await using second = managedAt(await MovingAddress.open(primary.address));
  const key = uniqueKey('contended');
  const holder = first.managers.make();
  const grant = await holder.acquire(key);
  const reader = postgres({ connectionString: postgresUrl(second.address.address), requestTimeout: 2_000 });
  const waiter = second.managers.make({ backend: reader });
  const lock = waiter.lock(key);
  const turn = lock.lock();
  await stateOf(lock, 'waiting');
  // It has to be told of plain data, too, long before it looks by itself.
  let isSeen = false;
  const looking = (async () => {
    for (let since: string | undefined; !isSeen; ) {
      const scope = { prefix: `${key}/data/` };
      const { records, at } = await reader.query(scope, { ...(since && { since }), signal: live });
      since = at;
      isSeen = records.length > 0;
    }
  })().catch(() => undefined);
  await until(() => replica.isCaughtUp());
  replica.cutOff();
  await replica.promote();
  for (const { address } of [first, second]) address.lead(replica.address);
  first.address.move(replica.address);
  const session = await sessionOf(holder);
  const isThere = async () =>
    (
      await replica.sql(
        "SELECT FROM holdfast.sessions WHERE id = $1 AND expires > clock_timestamp() + $2 * interval '1 ms'",
        [session, TTL - 5_000],
      )
    ).length === 1;
  await until(isThere);

  // The waiter's renewals come over, and all else stays. There the holder's session is over, as nobody has renewed it.
  await until(async () => {
    await primary.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%renew_1%' AND pid <> pg_backend_pid()",
    );
    const rows = await replica.sql(
      "SELECT FROM pg_stat_activity WHERE query LIKE '%renew_1%' AND pid <> pg_backend_pid()",
    );
    return rows.length >= 2;
  }, 30_000);
  await primary.sql('DELETE FROM holdfast.sessions WHERE id = $1', [session]);
  const stayed = "SELECT FROM pg_stat_activity WHERE application_name = 'holdfast'";
  await until(async () => (await primary.sql(stayed)).length === 0);
  const operator = first.managers.operator();
  await operator.commit({ when: [], then: [{ put: `${key}/data/a`, value: new Uint8Array() }] }, live);
  await until(() => isSeen, 10_000);
  expect([grant.held, lock.held]).toEqual([true, false]);
  await grant.release();
  expect((await turn).token).toBeGreaterThan(grant.token);
  await looking;
}, 120_000);

interface Moved extends AsyncDisposable {
  readonly address: MovingAddress;
  readonly managers: Managers;
}

function managedAt(address: MovingAddress): Moved {
  const managers = managersAt(address.address);
  return {
    address,
    managers,
    async [Symbol.asyncDispose]() {
      await managers[Symbol.asyncDispose]();
      await address[Symbol.asyncDispose]();
    },
  };
}
