import type { Grant } from 'holdfast';
import { etcd } from 'holdfast/etcd';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Managers, stateOf, until, type World } from '../scenarios/world.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { counted } from './counting.ts';

// A server of its own: its counters are compared exactly.
let server: EtcdServer;
let world: World;

beforeAll(async () => {
  server = await startEtcd();
  world = { name: 'etcd', ttl: 10_000, lockDelay: 0, backend: () => etcd({ hosts: server.address }) };
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** Consensus writes that `work` cost, from the server's own counter. */
async function proposals(work: () => Promise<void>): Promise<number> {
  const before = await server.proposalsCommitted();
  await work();
  return (await server.proposalsCommitted()) - before;
}

test('an uncontended acquire and release cost exactly two consensus writes, renewals none', async () => {
  await using managers = new Managers(world);
  const { backend, counts } = counted(world.backend());
  const sync = managers.make({ backend });
  await (await sync.acquire('warm')).release();

  const before = { ...counts };
  const cycles = 25;
  const writes = await proposals(async () => {
    for (let cycle = 0; cycle < cycles; cycle++) await (await sync.acquire('cycle')).release();
  });
  expect(writes).toBe(2 * cycles);
  expect(counts.commits - before.commits).toBe(2 * cycles);
  expect(counts.queries - before.queries).toBe(0);

  const lock = sync.lock('standing');
  await lock.lock();
  expect(await proposals(() => lock.release())).toBe(1);

  const grant = await sync.acquire('renewed');
  const kept = await server.metric('grpc_server_msg_received_total', { grpc_method: 'LeaseKeepAlive' });
  const renewals = await proposals(() =>
    until(async () => {
      const sent = await server.metric('grpc_server_msg_received_total', { grpc_method: 'LeaseKeepAlive' });
      return sent - kept >= 3;
    }),
  );
  expect(renewals).toBe(0);
  expect(grant.held).toBe(true);
});

test('100 callers of one key in one process cost two consensus writes, each with a larger token', async () => {
  await using managers = new Managers(world);
  const sync = managers.make({ handOff: { within: 10_000 } });
  await (await sync.acquire('warm')).release();
  const tokens: bigint[] = [];
  const writes = await proposals(async () => {
    const calls = Array.from({ length: 100 }, () =>
      sync.withLock('crowd', ({ token }) => void tokens.push(token)),
    );
    await Promise.all(calls);
  });
  expect(writes).toBe(2);
  expect(tokens).toEqual(Array.from({ length: 100 }, (_, number) => (tokens[0] ?? 0n) + BigInt(number)));
});

test('acquires and releases of 100 keys issued together cost two consensus writes', async () => {
  await using managers = new Managers(world);
  const sync = managers.make();
  await (await sync.acquire('warm')).release();
  const keys = Array.from({ length: 100 }, (_, number) => `together/${number}`);
  const grants: Grant[] = [];
  expect(
    await proposals(async () => {
      grants.push(...(await Promise.all(keys.map((key) => sync.acquire(key)))));
    }),
  ).toBe(1);
  expect(grants.every(({ held }) => held)).toBe(true);
  expect(await proposals(async () => void (await Promise.all(grants.map((grant) => grant.release()))))).toBe(
    1,
  );
});

test('50 waiters in 50 managers: each release wakes exactly one, and grants come in the order of asking', async () => {
  await using managers = new Managers(world);
  // So long that no session ends and no query by its bound, however slow the machine is.
  const session = { ttl: 600_000 };
  const holder = await managers.make({ session }).acquire('herd');
  const clients = Array.from({ length: 50 }, () => {
    const { backend, counts } = counted(world.backend());
    return { sync: managers.make({ backend, session }), counts };
  });
  const wakes = () => clients.reduce((sum, { counts }) => sum + counts.wakes, 0);
  const order: number[] = [];
  const grants = [];
  for (const [number, { sync, counts }] of clients.entries()) {
    const lock = sync.lock('herd');
    grants.push(
      lock.lock().then((grant) => {
        order.push(number);
        return grant;
      }),
    );
    await stateOf(lock, 'waiting');
    // In line, and watching the one before it.
    await until(() => counts.queries >= 2);
  }
  expect(wakes()).toBe(0);

  let release = () => holder.release();
  const tokens: bigint[] = [holder.token];
  for (let round = 0; round < clients.length; round++) {
    const before = wakes();
    const writes = await proposals(async () => {
      await release();
      await until(() => order.length === round + 1);
    });
    expect(order[round]).toBe(round);
    expect(wakes() - before).toBe(1);
    // The release alone: the successor has been in line since it asked.
    expect(writes).toBe(1);
    const grant = await grants[round];
    if (grant === undefined) throw new Error('no grant');
    expect(grant.token).toBeGreaterThan(tokens.at(-1) ?? 0n);
    tokens.push(grant.token);
    release = () => grant.release();
  }
  expect(order).toEqual(clients.map((_, number) => number));
});
