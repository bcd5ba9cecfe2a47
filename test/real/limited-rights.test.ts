import { readFileSync } from 'node:fs';
import { isSyncError, SyncManager, type SyncManagerOptions } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { firstValueFrom } from 'rxjs';
import { filter } from 'rxjs/operators';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type WebStore, webStores } from './stores.ts';

const PASSWORD = 'correct horse battery staple';
const POLICY = 'team-a';

let consulServer: ConsulServer;
let etcdServer: EtcdServer;
let token: string;

/** What the documents tell an operator to allow. */
function blockOf(page: string, language: string): string {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  const [, block] = new RegExp(`Rights needed with .*?\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(text) ?? [];
  if (block === undefined) throw new Error(`docs/${page} does not say which rights are needed`);
  return block;
}

beforeAll(async () => {
  [consulServer, etcdServer] = await Promise.all([
    startConsul({ acl: true, sessionTtlMin: '1s' }),
    startEtcd({ args: ['--bcrypt-cost=4'] }),
  ]);
  const self = JSON.parse((await consulServer.http('GET', '/v1/agent/self')).body) as {
    Config: { NodeName: string };
  };
  const Rules = blockOf('consul.md', 'hcl').replace('<node>', self.Config.NodeName);
  await consulServer.http('PUT', '/v1/acl/policy', JSON.stringify({ Name: POLICY, Rules }));
  const made = await consulServer.http(
    'PUT',
    '/v1/acl/token',
    JSON.stringify({ Policies: [{ Name: POLICY }] }),
  );
  ({ SecretID: token } = JSON.parse(made.body) as { SecretID: string });

  const root = ['--user', `root:${PASSWORD}`];
  const commands = [
    ['user', 'add', `root:${PASSWORD}`],
    ['user', 'grant-role', 'root', 'root'],
    ['user', 'add', `app:${PASSWORD}`],
    ...blockOf('etcd.md', 'sh')
      .trim()
      .split('\n')
      .map((line) => line.replace('etcdctl ', '').replace('<user>', 'app').split(' ')),
    ['auth', 'enable'],
  ];
  for (const command of commands) {
    const { code, stderr } = await etcdServer.etcdctl([...root, ...command]);
    if (code !== 0) throw new Error(`etcdctl ${command.join(' ')} failed: ${stderr}`);
  }
});
afterAll(() => Promise.all([consulServer, etcdServer].map((server) => server?.[Symbol.asyncDispose]())));

const backends = {
  etcd: () => etcd({ hosts: etcdServer.address, username: 'app', password: PASSWORD }),
  Consul: () => consul({ addresses: [consulServer.address], token, sessionTtlMin: 1_000 }),
} satisfies Record<WebStore, unknown>;

describe.each(webStores)('E6: with the rights that the documents name, on %s', (store) => {
  const make = (options: Partial<SyncManagerOptions>): SyncManager =>
    new SyncManager({
      name: 'svc',
      backend: backends[store],
      session: { ttl: 3_000, lockDelay: 0 },
      ...options,
    });

  test('a manager with that prefix does everything', async () => {
    await using mine = make({ prefix: 'team-a' });
    await using other = make({ prefix: 'team-a' });
    await mine.leadership.lock.lock({ timeout: 10_000 });
    expect(await other.leadership.ask()).toBeUndefined();
    const leader = await firstValueFrom(other.leadership.leader$.pipe(filter((seen) => seen !== undefined)));
    expect(leader?.metadata).toMatchObject({ service: 'svc' });
    const result = await mine.withLock('orders/42', async (grant) => {
      expect(await other.tryAcquire('orders/42')).toBeUndefined();
      return mine.commit({
        when: [grant.isOwner],
        then: [{ put: 'orders/42/state', value: 'paid' }],
        read: { prefix: 'orders/42/state' },
      });
    });
    expect(result).toMatchObject({ ok: true, read: [{ key: 'orders/42/state' }] });
    await other.withLock('orders/42', () => undefined, { timeout: 10_000 });
    await mine.leadership.stepDown({ pause: Number.POSITIVE_INFINITY });
    await other.leadership.lock.lock({ timeout: 10_000 });
  });

  test('one that keeps only the key of leadership there leads; without either it is told that it must not', async () => {
    await using mine = make({ leadershipKey: 'team-a/leader' });
    expect((await mine.leadership.lock.lock({ timeout: 10_000 })).held).toBe(true);
    await using outside = make({});
    const refused = await outside
      .leadershipLock()
      .lock({ timeout: 10_000 })
      .catch((error: unknown) => error);
    expect(isSyncError(refused, 'permission-denied')).toBe(true);
    await using elsewhere = make({ prefix: 'team-ab' });
    const sameBeginning = await elsewhere.acquire('k', { timeout: 10_000 }).catch((error: unknown) => error);
    expect(isSyncError(sameBeginning, 'permission-denied')).toBe(true);
  });
});

test('E6: a prefix on etcd is above the names that other clients know', async () => {
  const names = { username: 'app', password: PASSWORD, lockName: (key: string) => `locks/${key}` };
  await using sync = new SyncManager({
    name: 'svc',
    backend: etcd({ hosts: etcdServer.address, ...names }),
    prefix: 'team-a',
  });
  const grant = await sync.acquire('k', { timeout: 10_000 });
  expect(grant.isOwner.key).toMatch(/^team-a\/locks\/k\//);
  await expect(sync.commit({ then: [{ put: 'locks/k/x', value: '' }] })).rejects.toMatchObject({
    code: 'invalid-key',
    message: expect.stringContaining('lies where the lock "k" is kept'),
  });
  expect((await sync.commit({ when: [grant.isOwner], then: [{ put: 'k/x', value: '' }] })).ok).toBe(true);
});
