import { postgres } from 'holdfast/postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CountedPool } from '../real/counted-pool.ts';
import { currentSession, live, Managers, stateOf, until } from '../scenarios/world.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';

// A server of its own: whoever listens hears what is sent here.
let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres({ schema: true });
});
afterAll(() => server?.[Symbol.asyncDispose]());

test.each(['nothing that we say', '5', '[1]', '{}', ''])(
  'a notice of somebody else (%j) does no harm, and the next one of ours is heard',
  async (payload) => {
    const backend = () => postgres({ connectionString: server.url });
    await using managers = new Managers({ name: 'Postgres', ttl: 60_000, lockDelay: 0, backend });
    const [sync, rival] = [managers.make(), managers.make()];
    const grant = await sync.acquire('key');
    const lock = rival.lock('key');
    const turn = lock.lock();
    await stateOf(lock, 'waiting');
    await server.sql('SELECT pg_notify($1, $2)', ['holdfast', payload]);
    await sync.acquire('another');
    await grant.release();
    expect((await turn).token).toBeGreaterThan(grant.token);
    const operator = managers.operator();
    expect((await operator.query({ prefix: 'key/' }, { signal: live })).records).toHaveLength(1);
  },
);

test.each([
  ['without a signature', ''],
  ['with one that anybody can make', '0'.repeat(64)],
])('a notice %s that the holder is gone makes nobody believe it', async (_, signature) => {
  const backend = () => postgres({ connectionString: server.url });
  await using pool = new CountedPool(server.url);
  await using managers = new Managers({ name: 'Postgres', ttl: 60_000, lockDelay: 0, backend });
  const holder = managers.make();
  const grant = await holder.acquire('believed');
  const rival = managers.make({ backend: postgres({ pool, listen: server.url }) });
  const lock = rival.lock('believed');
  const turn = lock.lock();
  await stateOf(lock, 'waiting');
  await until(() => pool.listens);
  const looks = pool.count('look');
  const gone = `[["believed/.lock/${currentSession(holder)}","${grant.isOwner.revision}"]]`;
  await server.sql('SELECT pg_notify($1, $2)', ['holdfast', signature + gone]);
  await until(() => pool.count('look') > looks || lock.held);
  expect([lock.held, grant.held]).toEqual([false, true]);
  await grant.release();
  expect((await turn).token).toBeGreaterThan(grant.token);
});
