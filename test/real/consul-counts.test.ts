import { SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { live, Managers, uniqueKey, until, type World } from '../scenarios/world.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { counted } from './counting.ts';

// A server of its own: its counters are compared exactly.
let server: ConsulServer;
let world: World;

beforeAll(async () => {
  server = await startConsul({ sessionTtlMin: '1s' });
  const backend = () => consul({ addresses: [server.address], sessionTtlMin: 1_000 });
  world = { name: 'Consul', ttl: 2_000, lockDelay: 1_000, backend };
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** Entries in the raft log that `work` cost. */
async function raftWrites(work: () => Promise<void>): Promise<number> {
  const before = await server.raftIndex();
  await work();
  return (await server.raftIndex()) - before;
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
  expect(counts.commits - before.commits).toBe(2 * cycles);
  expect(counts.queries - before.queries).toBe(0);

  const grant = await sync.acquire('renewed');
  const sent = renewals;
  expect(await raftWrites(() => until(() => renewals - sent >= 3))).toBe(0);
  expect(grant.held).toBe(true);
});

test('500 locks held and 500 waited for by one manager use at most 64 connections', async () => {
  await using managers = new Managers({ ...world, ttl: 20_000 });
  const connections = async () => (await established(server.port)).length;
  const stem = uniqueKey('many');
  const keys = Array.from({ length: 500 }, (_, number) => `${stem}/${number}`);

  // The rival's own connections are counted away: it holds what we wait for, over a client of its own.
  const rival = managers.make();
  const taken = await Promise.all(keys.map((key) => rival.acquire(`${key}/taken`)));
  const waiting = managers.make();
  const held = await Promise.all(keys.map((key) => waiting.acquire(`${key}/held`)));
  expect(held.every((grant) => grant.held)).toBe(true);
  const calls = keys.map((key) => waiting.acquire(`${key}/taken`));
  await until(async () => (await connections()) > 64);

  // With the rival gone quiet, what is left is ours.
  const quiet = new SyncManager({ name: 'quiet', backend: world.backend(), session: { ttl: 20_000 } });
  await quiet.stop();
  let most = 0;
  const ours = async () => {
    const mine = await establishedBy(process.pid, server.port);
    return mine.length;
  };
  for (let look = 0; look < 20; look++) most = Math.max(most, await ours());
  // Two managers in this process, 64 each.
  expect(most).toBeLessThanOrEqual(128);

  await rival.stop();
  await until(async () => (await ours()) <= 64);
  const grants = await Promise.all(calls);
  expect(grants.every((grant) => grant.held)).toBe(true);
  expect(held.every((grant) => grant.held)).toBe(true);
  expect(await ours()).toBeLessThanOrEqual(64);
  expect(taken).toHaveLength(500);
  const operator = managers.operator();
  await waiting.stop();
  const { records } = await operator.query({ prefix: `${stem}/` }, { signal: live });
  expect(records).toEqual([]);
});
