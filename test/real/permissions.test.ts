import type { Backend } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { installSql, postgres } from 'holdfast/postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { busy } from '../busy.ts';
import { Managers, next, uniqueKey, until } from '../scenarios/world.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { type Call, recorded } from './recorded.ts';

const TTL = 3_000;
const DEADLINE = TTL - TTL / 10;
const LOCKS = 3;
const PASSWORD = 'correct horse battery staple';
const RULES = 'session_prefix "" { policy = "write" } key_prefix "" { policy = "write" }';

let consulServer: ConsulServer;
let etcdServer: EtcdServer;
let postgresServer: PostgresServer;

beforeAll(async () => {
  [consulServer, etcdServer, postgresServer] = await Promise.all([
    startConsul({ acl: true, sessionTtlMin: '1s' }),
    startEtcd({ args: ['--bcrypt-cost=4'] }),
    startPostgres({ schema: true }),
  ]);
  await put('/v1/acl/policy', { Name: 'app', Rules: RULES });
  await etcdctl(['user', 'add', `root:${PASSWORD}`], ['user', 'grant-role', 'root', 'root']);
  await etcdctl(['auth', 'enable']);
});
afterAll(() =>
  Promise.all([consulServer, etcdServer, postgresServer].map((server) => server?.[Symbol.asyncDispose]())),
);

async function put(path: string, body: unknown): Promise<Record<string, string>> {
  const answer = await consulServer.http('PUT', path, JSON.stringify(body));
  if (answer.status !== 200) throw new Error(`Consul answered ${answer.status}: ${answer.body}`);
  return JSON.parse(answer.body) as Record<string, string>;
}

/** As root, who needs no password before there is authentication. */
async function etcdctl(...commands: string[][]): Promise<void> {
  for (const command of commands) {
    const { code, stderr } = await etcdServer.etcdctl(['--user', `root:${PASSWORD}`, ...command]);
    if (code !== 0) throw new Error(`etcdctl ${command.join(' ')} failed: ${stderr}`);
  }
}

/** A client with credentials of its own, and how an operator takes them away. */
interface Guest {
  readonly backend: Backend;
  revoke(): Promise<unknown>;
}

async function consulGuest(): Promise<Guest & { readonly accessor: string }> {
  const { SecretID: token = '', AccessorID: accessor = '' } = await put('/v1/acl/token', {
    Policies: [{ Name: 'app' }],
  });
  return {
    accessor,
    backend: consul({ addresses: [consulServer.address], token, sessionTtlMin: 1_000 }),
    revoke: () => consulServer.http('DELETE', `/v1/acl/token/${accessor}`),
  };
}

async function etcdGuest(name: string, ...revoke: string[][]): Promise<Guest> {
  await etcdctl(
    ['role', 'add', name],
    ['role', 'grant-permission', name, '--from-key=true', 'readwrite', ''],
    ['user', 'add', `${name}:${PASSWORD}`],
    ['user', 'grant-role', name, name],
  );
  return {
    backend: etcd({ hosts: etcdServer.address, username: name, password: PASSWORD }),
    revoke: () => etcdctl(...revoke),
  };
}

async function postgresGuest(role: string, revoke: string): Promise<Guest> {
  await postgresServer.sql(`CREATE ROLE ${role} LOGIN`);
  await postgresServer.sql(installSql({ role }));
  return {
    backend: postgres({ connectionString: `postgres://${role}@${postgresServer.address}/postgres` }),
    revoke: () => postgresServer.sql(revoke),
  };
}

const guests: Record<string, () => Promise<Guest>> = {
  'Consul, the token deleted': consulGuest,
  'Consul, the policy taken from the token': async () => {
    const guest = await consulGuest();
    return { ...guest, revoke: () => put(`/v1/acl/token/${guest.accessor}`, { Policies: [] }) };
  },
  'etcd, the role revoked': () => etcdGuest('a', ['user', 'revoke-role', 'a', 'a']),
  'etcd, the user deleted': () => etcdGuest('b', ['user', 'delete', 'b']),
  'Postgres, EXECUTE revoked': () =>
    postgresGuest('c', 'REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA holdfast FROM c'),
  'Postgres, USAGE revoked': () => postgresGuest('d', 'REVOKE USAGE ON SCHEMA holdfast FROM d'),
};

/** The least time between two refusals of one request, and how many there were in all. */
function pace(calls: readonly Call[]): { least: number; refusals: number } {
  const refused = calls.filter((call) => call.refused === 'permission-denied');
  let least = Number.POSITIVE_INFINITY;
  const last = new Map<string, number>();
  for (const { verb, of, sent } of refused) {
    least = Math.min(least, sent - (last.get(`${verb} ${of}`) ?? Number.NEGATIVE_INFINITY));
    last.set(`${verb} ${of}`, sent);
  }
  return { least, refusals: refused.length };
}

test.concurrent.each(Object.entries(guests))(
  'FAULTS 18: %s while it is used: lost by the deadline, told as permission-denied, at most one retry a second',
  async (name, make) => {
    const guest = await make();
    const watched = recorded(guest.backend);
    await using managers = new Managers({ name, ttl: TTL, lockDelay: 0, backend: () => watched.backend });
    const manager = managers.make();
    const locks = Array.from({ length: LOCKS }, () => manager.lock(uniqueKey('revoked')));
    const grants = await Promise.all(locks.map((lock) => lock.lock()));
    const told = Promise.all(locks.map((lock) => next(lock.lost$, () => true)));
    const denied = next(
      manager.events$,
      (event) => event.type === 'trouble' && (event.error as { code?: unknown }).code === 'permission-denied',
    );
    // etcd looks at a user when a stream of renewals begins, and never again.
    await until(() =>
      watched.calls.some(({ verb, ended }) => verb === 'renewSession' && ended !== undefined),
    );
    const begun = performance.now();
    await guest.revoke();
    const revoked = watched.calls.length;
    await told;
    const after = performance.now() - begun;
    expect(grants.filter((grant) => grant.held || !grant.signal.aborted)).toEqual([]);
    await denied;
    await expect(locks[0]?.lock()).rejects.toMatchObject({ code: 'permission-denied' });
    expect(after).toBeLessThan(DEADLINE + busy());
    // Some retries more, of the locks or of the session, whichever is refused.
    const lost = watched.calls.length;
    await until(() => pace(watched.calls.slice(lost)).refusals >= 2 * LOCKS);
    const { least, refusals } = pace(watched.calls.slice(revoked));
    expect(least).toBeGreaterThanOrEqual(1_000);
    console.info(
      `FAULTS 18 ${name}: lost after ${Math.round(after)} ms; ${refusals} refusals, ${Math.round(least)} ms apart at least`,
    );
  },
);
