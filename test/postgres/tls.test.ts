import { dirname } from 'node:path';
import { SyncManager } from 'holdfast';
import { postgres } from 'holdfast/postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificate, Certificates } from '../etcd/certificates.ts';
import { stateOf, uniqueKey, until } from '../scenarios/world.ts';
import { giveToNobody, letNobodyThrough } from '../servers/nobody.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';

let certificates: Certificates;
let ca: Certificate;
let otherCa: Certificate;
let plain: PostgresServer;

beforeAll(async () => {
  certificates = await Certificates.create();
  [ca, otherCa, plain] = await Promise.all([
    certificates.authority(),
    certificates.authority(),
    startPostgres({ schema: true }),
  ]);
});
afterAll(async () => {
  await plain?.[Symbol.asyncDispose]();
  await certificates?.[Symbol.asyncDispose]();
});

async function serve({ certFile, keyFile }: Certificate): Promise<PostgresServer> {
  letNobodyThrough(dirname(certFile));
  for (const file of [certFile, keyFile]) giveToNobody(file);
  const settings = { ssl: 'on', ssl_cert_file: certFile, ssl_key_file: keyFile };
  return startPostgres({ schema: true, settings });
}

function managerAt({ url }: PostgresServer, trusted: Certificate): SyncManager {
  const connectionString = `${url}?sslmode=verify-full&sslrootcert=${encodeURIComponent(trusted.certFile)}`;
  return new SyncManager({ name: 'tls', backend: postgres({ connectionString }), session: { ttl: 10_000 } });
}

test('with TLS everything goes by it, what is told as well', async () => {
  await using server = await serve(await certificates.issue(ca, 'IP:127.0.0.1'));
  await using sync = managerAt(server, ca);
  await using rival = managerAt(server, ca);
  const key = uniqueKey('tls');
  const grant = await sync.acquire(key);
  const lock = rival.lock(key);
  const turn = lock.lock();
  await stateOf(lock, 'waiting');
  const text = `SELECT ssl, query LIKE '%LISTEN%' AS listens FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
    WHERE application_name = 'holdfast'`;
  await until(async () => {
    const seen = await server.sql(text);
    expect(seen.filter(({ ssl }) => ssl !== true)).toEqual([]);
    return seen.some(({ listens }) => listens);
  });
  await grant.release();
  expect((await turn).token).toBeGreaterThan(grant.token);
});

const faults: Record<string, { name?: string; days?: number; trusted?: () => Certificate }> = {
  'another authority': { trusted: () => otherCa },
  'another name': { name: 'DNS:elsewhere' },
  'an expired certificate': { days: -1 },
};

test.each(Object.entries(faults))(
  'FAULTS 19: Postgres with %s is refused as insecure',
  async (_, { name = 'IP:127.0.0.1', days = 2, trusted = () => ca }) => {
    await using server = await serve(await certificates.issue(ca, name, days));
    await using sync = managerAt(server, trusted());
    await expect(sync.connect({ timeout: 10_000 })).rejects.toMatchObject({ code: 'insecure' });
  },
);

test('FAULTS 19: TLS to a Postgres that has none is refused as insecure, with no downgrade', async () => {
  await using sync = managerAt(plain, ca);
  await expect(sync.connect({ timeout: 10_000 })).rejects.toMatchObject({ code: 'insecure' });
  const text = "SELECT FROM pg_stat_activity WHERE application_name = 'holdfast'";
  expect(await plain.sql(text)).toEqual([]);
});
