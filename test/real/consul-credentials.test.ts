import { createServer } from 'node:https';
import Consul from 'consul';
import { type ConsulOptions, consul } from 'holdfast/consul';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { authority, good, misnamed } from '../consul/certificates.ts';
import { failure, listen, relayTo, uniquePrefix } from '../consul/support.ts';
import { live, losses, Managers, uniqueKey } from '../scenarios/world.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';

const TTL = 3_000;
const RULES = 'session_prefix "" { policy = "write" } key_prefix "" { policy = "write" }';

let server: ConsulServer;
beforeAll(async () => {
  server = await startConsul({ acl: true, sessionTtlMin: '1s' });
  await server.http('PUT', '/v1/acl/policy', JSON.stringify({ Name: 'app', Rules: RULES }));
});
afterAll(() => server?.[Symbol.asyncDispose]());

interface Token {
  readonly SecretID: string;
  readonly AccessorID: string;
}

async function newToken(): Promise<Token> {
  const made = await server.http('PUT', '/v1/acl/token', JSON.stringify({ Policies: [{ Name: 'app' }] }));
  return JSON.parse(made.body) as Token;
}

function connect(options: ConsulOptions) {
  const backend = consul({ sessionTtlMin: 1_000, ...options });
  return { backend, world: { name: 'Consul', ttl: TTL, lockDelay: 0, backend: () => backend } };
}

const longerThanBelieved = () => new Promise((resolve) => setTimeout(resolve, 1.5 * TTL));

test.each(['sync', 'async'])(
  'C4: Consul, a token that is rotated: a %s function is asked again when the one before is refused, and what is held stays held',
  async (kind) => {
    const before = await newToken();
    let present = before;
    let asked = 0;
    const token = () => {
      asked += 1;
      return kind === 'sync' ? present.SecretID : Promise.resolve(present.SecretID);
    };
    const { world, backend } = connect({ addresses: [server.address], token });
    await using managers = new Managers(world);
    const sync = managers.make();
    const lock = sync.lock(uniqueKey('rotated'));
    const lost = losses(lock);
    const grant = await lock.lock();
    expect(asked).toBe(1);
    present = await newToken();
    await server.http('DELETE', `/v1/acl/token/${before.AccessorID}`);
    // Nobody is told.
    const { records } = await backend.query({ key: grant.isOwner.key }, { signal: live });
    expect(records).toHaveLength(1);
    await longerThanBelieved();
    expect([grant.held, lost, asked]).toEqual([true, [], 2]);
    await (await sync.acquire(uniqueKey('next'))).release();
  },
);

test('C4: Consul, a commit that is refused for its token is asked again with the token of now, also one that is denied in a transaction', async () => {
  const [one, two] = [await newToken(), await newToken()];
  const tokens = [one.SecretID, two.SecretID];
  const { backend } = connect({ addresses: [server.address], token: () => tokens.shift() ?? 'none' });
  await using _ = backend;
  const prefix = uniquePrefix();
  await backend.query({ key: prefix.slice(0, -1) }, { signal: live });
  await server.http('PUT', `/v1/acl/token/${one.AccessorID}`, JSON.stringify({ Policies: [] }));
  const put = (name: string) =>
    backend.commit({ when: [], then: [{ put: prefix + name, value: new Uint8Array() }] }, live);
  const results = await Promise.all(['a', 'b'].map(put));
  expect(results).toMatchObject([{ ok: true }, { ok: true }]);
  const then = ['a', 'b'].map((name) => ({ remove: prefix + name }));
  await backend.commit({ when: [], then }, live);
});

test('C4: Consul, a function for a token that fails is told without what it said, and asked again the next time', async () => {
  const { SecretID } = await newToken();
  let fails = true;
  const token = async () => {
    if (fails) throw new Error('vault says hunter2');
    return SecretID;
  };
  const { backend } = connect({ addresses: [server.address], token });
  await using _ = backend;
  const look = () => backend.query({ key: 'k' }, { signal: live });
  const error = await failure(look(), 'unavailable');
  expect(`${error.message} ${String(error.cause)}`).not.toContain('hunter2');
  expect(error.message).toContain('token');
  fails = false;
  expect((await look()).records).toEqual([]);
});

test("C4: Consul, a lent client's token is the one that it has at present", async () => {
  const before = await newToken();
  const client = new Consul({ host: server.host, port: server.port, defaults: { token: before.SecretID } });
  const { world } = connect({ client });
  await using managers = new Managers(world);
  const lock = managers.make().lock(uniqueKey('lent'));
  const lost = losses(lock);
  const grant = await lock.lock();
  const { _defaults: defaults } = client as unknown as { _defaults: { token: string } };
  defaults.token = (await newToken()).SecretID;
  await server.http('DELETE', `/v1/acl/token/${before.AccessorID}`);
  await longerThanBelieved();
  expect([grant.held, lost]).toEqual([true, []]);
});

test('C4: Consul, certificates that are rotated: a function is asked for each new connection', async () => {
  const { SecretID: token } = await newToken();
  const front = createServer(
    good,
    relayTo(server.address, () => false),
  );
  await using listening = await listen(front);
  let tls: object = { ca: authority };
  const { world } = connect({ addresses: [`https://${listening.address}`], token, tls: () => tls });
  await using managers = new Managers(world);
  const lock = managers.make().lock(uniqueKey('certificates'));
  const lost = losses(lock);
  const grant = await lock.lock();
  // From now on it is another one, which only the new settings trust.
  front.setSecureContext(misnamed);
  tls = { ca: authority, servername: 'elsewhere.test' };
  front.closeAllConnections();
  await longerThanBelieved();
  expect([grant.held, lost]).toEqual([true, []]);
});
