import { etcd } from 'holdfast/etcd';
import { LeasePool } from 'holdfast/leases';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aborted, Managers, until, type World } from '../scenarios/world.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';

// A server of its own: its counters are compared exactly.
let server: EtcdServer;
let world: World;

beforeAll(async () => {
  server = await startEtcd();
  world = { name: 'etcd', ttl: 10_000, lockDelay: 0, backend: () => etcd({ hosts: server.address }) };
});
afterAll(() => server?.[Symbol.asyncDispose]());

test('1,000 items: the first worker has all with at most 20 consensus writes, and a list is one range read', async () => {
  await using managers = new Managers(world);
  const pool = new LeasePool(managers.make(), { prefix: 'thousand' });
  const items = Array.from({ length: 1_000 }, (_, n) => ({ id: String(n), attributes: { n } }));
  const added = await server.proposalsCommitted();
  expect(await pool.addAll(items)).toBe(1_000);
  console.log(`1,000 items were added by ${(await server.proposalsCommitted()) - added} writes`);

  const ranges = (): Promise<number> => server.metric('grpc_server_handled_total', { grpc_method: 'Range' });
  const reads = await ranges();
  expect((await pool.list()).length).toBe(1_000);
  expect((await ranges()) - reads).toBe(1);

  let ids: readonly string[] = [];
  const before = await server.proposalsCommitted();
  const begun = performance.now();
  const worker = new LeasePool(managers.make(), { prefix: 'thousand' });
  const fleet = worker.balance({}, ({ yielding }) => aborted(yielding));
  fleet.assignment$.subscribe((now) => {
    ids = now;
  });
  await until(() => ids.length === 1_000);
  const took = performance.now() - begun;
  const writes = (await server.proposalsCommitted()) - before;
  console.log(`1,000 items, the first worker: ${writes} consensus writes, ${took.toFixed(0)} ms`);
  // Two of them are the session's and the worker's own record.
  expect(writes).toBeLessThanOrEqual(20);
});
