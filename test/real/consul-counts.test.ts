import type { Grant, Lock } from 'holdfast';
import { consul } from 'holdfast/consul';
import { TcpProxy } from 'holdfast/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { live, Managers, stateOf, uniqueKey, until, type World } from '../scenarios/world.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { ClientSockets } from './client-sockets.ts';
import { counted } from './counting.ts';

// A server of its own: its counters are compared exactly.
let server: ConsulServer;
let world: World;

beforeAll(async () => {
  server = await startConsul({ sessionTtlMin: '1s' });
  const backend = () => consul({ addresses: [server.address], sessionTtlMin: 1_000 });
  world = { name: 'Consul', ttl: 10_000, lockDelay: 1_000, backend };
});
afterAll(() => server?.[Symbol.asyncDispose]());

/**
 * Entries in the raft log that `work` cost. The server writes one of its own now and then (after its election, and one a
 * minute), which can only add: so the least of three is what the work itself costs.
 */
async function raftWrites(work: () => Promise<void>): Promise<number> {
  const costs: number[] = [];
  for (let round = 0; round < 3; round++) {
    const before = await server.raftIndex();
    await work();
    costs.push((await server.raftIndex()) - before);
  }
  return Math.min(...costs);
}

test('an uncontended acquire and release cost exactly two raft writes, renewals and reads none', async () => {
  await using managers = new Managers(world);
  const { backend, counts } = counted(world.backend());
  let renewals = 0;
  const sync = managers.make({
    backend: {
      ...backend,
      renewSession: (id, signal) => {
        renewals++;
        return backend.renewSession(id, signal);
      },
    },
  });
  await (await sync.acquire('warm')).release();

  const before = { ...counts };
  const cycles = 25;
  const writes = await raftWrites(async () => {
    for (let cycle = 0; cycle < cycles; cycle++) await (await sync.acquire('cycle')).release();
  });
  expect(writes).toBe(2 * cycles);
  expect(counts.commits - before.commits).toBe(3 * 2 * cycles);
  expect(counts.queries - before.queries).toBe(0);

  const grant = await sync.acquire('renewed');
  const renewed = (): Promise<void> => {
    const sent = renewals;
    return until(() => renewals - sent >= 2);
  };
  expect(await raftWrites(renewed)).toBe(0);
  expect(grant.held).toBe(true);
});

test('100 callers of one key in one process cost two raft writes, each with a larger token', async () => {
  await using managers = new Managers(world);
  const sync = managers.make({ handOff: { within: 10_000 } });
  await (await sync.acquire('warm')).release();
  const writes = await raftWrites(async () => {
    const tokens: bigint[] = [];
    const calls = Array.from({ length: 100 }, () =>
      sync.withLock('crowd', ({ token }) => void tokens.push(token)),
    );
    await Promise.all(calls);
    expect(tokens).toEqual(Array.from({ length: 100 }, (_, number) => (tokens[0] ?? 0n) + BigInt(number)));
  });
  expect(writes).toBe(2);
});

test('acquires and releases of 32 keys issued together cost two raft writes, and one that is taken two more', async () => {
  await using managers = new Managers(world);
  const [sync, rival] = [managers.make(), managers.make()];
  await (await sync.acquire('warm')).release();
  const keys = Array.from({ length: 32 }, (_, number) => `together/${number}`);
  const cycle = async (): Promise<number> => {
    const grants = (await Promise.all(keys.map((key) => sync.tryAcquire(key)))).filter((grant) => grant);
    await Promise.all(grants.map((grant) => grant?.release()));
    return grants.length;
  };
  expect(await raftWrites(async () => expect(await cycle()).toBe(32))).toBe(2);
  const taken = await rival.acquire('together/7');
  // The whole is refused, which is the answer to the one; then the others together.
  expect(await raftWrites(async () => expect(await cycle()).toBe(31))).toBe(3);
  expect(taken.held).toBe(true);
});

test('F2: 500 locks held and 500 waited for by one manager use at most 64 connections', async () => {
  await using proxy = await TcpProxy.open(server.address);
  using sockets = new ClientSockets(proxy.address);
  await using managers = new Managers(world);
  // So long that none ends by itself, however busy the machine is.
  const session = { ttl: 120_000 };
  const backend = consul({ addresses: [proxy.address], sessionTtlMin: 1_000 });
  const sync = managers.make({ backend, session });
  const rival = managers.make({ session });
  const stem = uniqueKey('many');
  const numbers = Array.from({ length: 500 }, (_, number) => number);

  const taken = await Promise.all(numbers.map((number) => rival.acquire(`${stem}/taken/${number}`)));
  const held = await Promise.all(numbers.map((number) => sync.acquire(`${stem}/held/${number}`)));
  const locks = numbers.map((number) => sync.lock(`${stem}/taken/${number}`));
  const answers = await Promise.all(locks.map((lock) => lock.tryLock()));
  expect(answers).toEqual(numbers.map(() => undefined));

  // Both kinds of watch are at work: every hand-over and every loss is noticed.
  for (const number of [0, 123, 499]) {
    await taken[number]?.release();
    await stateOf(locks[number] as Lock, 'held');
  }
  const operator = managers.operator();
  const victim = held[250] as Grant;
  await operator.commit({ when: [], then: [{ remove: victim.isOwner.key }] }, live);
  await until(() => victim.signal.aborted);
  await Promise.all(taken.map((grant) => grant.release()));
  await Promise.all(locks.map((lock) => stateOf(lock, 'held')));
  expect(held.filter((grant) => grant.held)).toHaveLength(499);
  expect(sockets.most).toBeGreaterThan(1);
  expect(sockets.most).toBeLessThanOrEqual(64);

  const stopping = performance.now();
  await sync.stop();
  expect(performance.now() - stopping).toBeLessThan(slowed(5_000));
  await until(() => proxy.open === 0);
  const { records } = await operator.query({ prefix: `${stem}/` }, { signal: live });
  expect(records).toEqual([]);
}, 240_000);
