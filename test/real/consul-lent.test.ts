import { Agent } from 'node:http';
import { join } from 'node:path';
import Consul from 'consul';
import { type ConsulOptions, consul } from 'holdfast/consul';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { failure, fakeHttp } from '../consul/support.ts';
import { live, Managers, uniqueKey } from '../scenarios/world.ts';
import { temporaryFolder } from '../servers/child.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';

let server: ConsulServer;
let socketPath: string;

beforeAll(async () => {
  socketPath = join(temporaryFolder('socket'), 'consul.sock');
  const addresses = { http: `127.0.0.1 unix://${socketPath}` };
  server = await startConsul({ sessionTtlMin: '1s', config: { addresses } });
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** Settings that the client's types leave out. */
function lent(options: object): ConsulOptions {
  return { client: new Consul(options as ConstructorParameters<typeof Consul>[0]) };
}

test.each<[string, () => ConsulOptions]>([
  ['an address of a socket', () => ({ addresses: [`unix://${socketPath}`] })],
  ['a lent client with a "socketPath"', () => lent({ socketPath })],
  [
    'a lent client whose agent has a "socketPath"',
    () => lent({ host: 'nowhere.invalid', agent: new Agent({ socketPath } as object) }),
  ],
  [
    'a lent client whose agent has a "lookup"',
    () => {
      const lookup = (_: string, options: { all?: boolean }, done: (...args: unknown[]) => void) =>
        options.all ? done(null, [{ address: server.host, family: 4 }]) : done(null, server.host, 4);
      return lent({ host: 'nowhere.invalid', port: server.port, agent: new Agent({ lookup } as object) });
    },
  ],
])('C7: Consul, %s: locks are had there', async (_, options) => {
  const backend = () => consul({ sessionTtlMin: 1_000, ...options() });
  await using managers = new Managers({ name: 'Consul', ttl: 10_000, lockDelay: 0, backend });
  const key = uniqueKey('lent');
  const grant = await managers.make().acquire(key);
  expect(await managers.make().tryAcquire(key)).toBeUndefined();
  expect(JSON.parse((await server.http('GET', `/v1/kv/${grant.isOwner.key}`)).body)).toHaveLength(1);
  await grant.release();
});

test('C7: Consul, a socket where nobody listens: the error names it', async () => {
  await using backend = consul({ addresses: [`unix://${socketPath}.not`] });
  const { message } = await failure(backend.query({ key: 'a' }, { signal: live }), 'unavailable');
  expect(message).toContain(`${socketPath}.not`);
});

test("C7: Consul, a lent client's datacenter and partition go with every request", async () => {
  const asked: (string | undefined)[] = [];
  await using fake = await fakeHttp(({ url }, answer) => {
    asked.push(url);
    answer.writeHead(500).end();
  });
  const defaults = { dc: 'east', partition: 'team' };
  const [host, port] = fake.address.split(':');
  await using backend = consul(lent({ host, port, defaults }));
  const id = '11111111-2222-3333-4444-555555555555';
  await failure(backend.openSession({ name: 'n', ttl: 10_000, lockDelay: 0 }, live), 'unavailable');
  await failure(backend.renewSession(id, live), 'unavailable');
  await failure(backend.closeSession(id, live), 'unavailable');
  await failure(backend.query({ key: 'a' }, { signal: live }), 'unavailable');
  await failure(backend.commit({ when: [], then: [{ remove: 'a' }] }, live), 'unavailable');
  expect(asked).toHaveLength(5);
  for (const url of asked) expect(url).toMatch(/[?&]dc=east&partition=team$/);
});

test.each<[string, () => object]>([
  ['stale', () => ({ defaults: { stale: true } })],
  ['wait', () => ({ defaults: { wait: '5s' } })],
  ['wan', () => ({ defaults: { wan: true } })],
  ['timeout', () => ({ defaults: { timeout: 1_000 } })],
  ['timeout', () => ({ agent: new Agent({ timeout: 1_000 }) })],
  ['createConnection', () => ({ agent: Object.assign(new Agent(), { createConnection: () => undefined }) })],
  ['agent', () => ({ agent: new (class extends Agent {})() })],
])('C7: Consul, a lent client whose "%s" could not be kept is refused by that name', (name, options) => {
  const connect = () => consul(lent(options()));
  expect(connect).toThrow('consul option "client"');
  expect(connect).toThrow(name);
});
