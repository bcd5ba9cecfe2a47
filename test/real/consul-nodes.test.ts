import { consul } from 'holdfast/consul';
import { expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { failure, session } from '../consul/support.ts';
import { live, Managers, sessionOf, uniqueKey, until } from '../scenarios/world.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';

/** Two servers, each of a datacenter of its own, that know of each other. */
async function datacenters(): Promise<[ConsulServer, ConsulServer]> {
  const one = await startConsul({ sessionTtlMin: '1s', config: { datacenter: 'one' } });
  const joins = [`${one.host}:${one.ports[2]}`];
  const two = await startConsul({
    sessionTtlMin: '1s',
    config: { datacenter: 'two', retry_join_wan: joins },
  });
  await until(async () => (await one.http('GET', '/v1/kv/none?dc=two')).status === 404);
  return [one, two];
}

test('C8: Consul, the datacenter of another agent: told at once, and had with a node that is registered there', async () => {
  const [first, second] = await datacenters();
  await using one = first;
  await using two = second;
  const connect = (node?: string) =>
    consul({ addresses: [one.address], datacenter: 'two', sessionTtlMin: 1_000, ...(node && { node }) });
  {
    await using managers = new Managers({ name: 'Consul', ttl: 10_000, lockDelay: 0, backend: connect });
    const begun = performance.now();
    const error = await failure(managers.make().acquire(uniqueKey('far')), 'invalid-option');
    expect(performance.now() - begun).toBeLessThan(slowed(1_000));
    for (const part of ['"datacenter"', 'which is in one', '"node"', one.address]) {
      expect(error.message).toContain(part);
    }
  }
  await using managers = new Managers({
    name: 'Consul',
    ttl: 10_000,
    lockDelay: 0,
    backend: () => connect(two.node),
  });
  const grant = await managers.make().acquire(uniqueKey('far'));
  expect((await two.http('GET', `/v1/kv/${grant.isOwner.key}`)).status).toBe(200);
  await grant.release();
});

test('C8: Consul, a node that is not registered is waited for, and named', async () => {
  await using server = await startConsul();
  await using backend = consul({ addresses: [server.address], node: 'to-come' });
  const open = backend.openSession({ name: 'n', ttl: 10_000, lockDelay: 0 }, live);
  expect((await failure(open, 'unavailable')).message).toContain('"node"');
  const body = JSON.stringify({ Node: 'to-come', Address: '127.0.0.1' });
  await server.http('PUT', '/v1/catalog/register', body);
  expect(await session(backend)).toHaveLength(36);
});

test('C10: Consul, an agent that is stopped by SIGTERM takes the sessions of its node along, and none that is of another node', async () => {
  await using server = await startConsul({ sessionTtlMin: '1s' });
  await using agent = await startConsul({ agentOf: server });
  await using second = await startConsul({ agentOf: server });
  const connect = (node?: string) => () =>
    consul({ addresses: [agent.address, second.address], sessionTtlMin: 1_000, ...(node && { node }) });
  const world = { name: 'Consul', ttl: 10_000, lockDelay: 0 };
  await using ordinary = new Managers({ ...world, backend: connect() });
  await using apart = new Managers({ ...world, backend: connect(server.node) });
  const [one, two] = [ordinary.make(), apart.make()];
  const [taken, kept] = [await one.acquire(uniqueKey('taken')), await two.acquire(uniqueKey('kept'))];
  const ids = [await sessionOf(one), await sessionOf(two)];
  const standing = async (): Promise<boolean[]> => {
    const answers = await Promise.all(ids.map((id) => server.http('GET', `/v1/session/info/${id}`)));
    return answers.map(({ body }) => body.trim() !== '[]');
  };
  expect(await standing()).toEqual([true, true]);
  await agent.stop();
  await until(async () => !(await standing())[0]);
  await until(() => !taken.held);
  expect([await standing(), kept.held]).toEqual([[false, true], true]);
  // Renewed by the other agent, for longer than it would be believed in.
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  expect(kept.held).toBe(true);
});
