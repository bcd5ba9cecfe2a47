import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { etcd } from 'holdfast/etcd';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { live, Managers, next, stateOf, uniqueKey, until, type World } from '../scenarios/world.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { alternate } from './interop.ts';

// The rule of names: the lock `k` is `etcdctl lock k/.lock`, and Go's `concurrency.NewMutex(session, "k/.lock")`.
let server: EtcdServer;
let world: World;

beforeAll(async () => {
  server = await startEtcd();
  world = { name: 'etcd', ttl: 4_000, lockDelay: 0, backend: () => etcd({ hosts: server.address }) };
});
afterAll(() => server?.[Symbol.asyncDispose]());

test('etcdctl lock keeps us out, we keep it out, and both stand in one queue', async () => {
  await using managers = new Managers(world);
  const operator = managers.operator();
  const key = uniqueKey('queue');
  const inLine = async (count: number) =>
    until(async () => {
      const { records } = await operator.query({ prefix: `${key}/.lock/` }, { signal: live });
      return records.length === count;
    });
  const order: string[] = [];
  const holder = await managers.make().acquire(key);

  const theirs = async (name: string) => {
    const child = server.spawnEtcdctl(['lock', `${key}/.lock`]);
    child.stdout?.once('data', () => order.push(name));
    return child;
  };
  const first = await theirs('etcdctl 1');
  await inLine(2);
  const sync = managers.make();
  const ours = sync.lock(key);
  ours.lock().then(() => order.push('holdfast'));
  await stateOf(ours, 'waiting');
  await inLine(3);
  const second = await theirs('etcdctl 2');
  await inLine(4);
  expect(order).toEqual([]);

  await holder.release();
  await until(() => order.length === 1);
  expect(await ours.tryLock()).toBeUndefined();
  first.kill('SIGINT');
  await stateOf(ours, 'held');
  await inLine(2);
  expect(order).toEqual(['etcdctl 1', 'holdfast']);
  await ours.release();
  await until(() => order.length === 3);
  expect(await managers.make().tryAcquire(key)).toBeUndefined();
  second.kill('SIGINT');
  await once(second, 'exit');
  expect(order).toEqual(['etcdctl 1', 'holdfast', 'etcdctl 2']);
  await inLine(0);
});

test('E9: a proposal of etcdctl elect is shown to who observes', async () => {
  await using managers = new Managers(world);
  const key = uniqueKey('elect');
  const theirs = server.spawnEtcdctl(['elect', `${key}/.lock`, 'host-1:2380']);
  const holder = await next(managers.make().observe(key), (found) => found !== undefined);
  expect([Buffer.from(holder?.value ?? []).toString(), holder?.metadata]).toEqual(['host-1:2380', undefined]);
  theirs.kill('SIGINT');
  await next(managers.make().observe(key), (found) => found === undefined);
});

test('20 alternations with etcdctl lock: never two holders', async () => {
  await using managers = new Managers(world);
  const key = uniqueKey('alternate');
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-interop-'));
  try {
    const log = join(folder, 'log');
    const visits = await alternate(managers.make(), key, log, async (script) => {
      const result = await server.etcdctl(['lock', `${key}/.lock`, '--', 'sh', '-c', script]);
      expect(result.code, result.stderr).toBe(0);
    });
    expect(visits).toEqual({ ours: 20, theirs: 20 });
    expect((await readFile(log, 'utf8')).split('\n')).toHaveLength(81);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("A3: with a lock's name of one's own, data below that name are told of and left alone", async () => {
  const named: World = { ...world, backend: () => etcd({ hosts: server.address, lockName: (key) => key }) };
  await using managers = new Managers(named);
  const key = uniqueKey('orders');
  for (const id of ['1001', 'cafe']) await server.etcdctl(['put', `${key}/${id}`, 'an order']);
  const sync = managers.make();
  await expect(sync.acquire(key, { timeout: 10_000 })).rejects.toMatchObject({ code: 'foreign-record' });
  await expect(sync.tryAcquire(key, { timeout: 10_000 })).rejects.toMatchObject({ code: 'foreign-record' });
  // What a call that was refused had put into the queue is removed behind it.
  await until(async () => {
    const { stdout } = await server.etcdctl(['get', `${key}/`, '--prefix', '--keys-only']);
    return stdout.trim().split(/\s+/).join() === `${key}/1001,${key}/cafe`;
  });
});

test('A3: a plain put over the contender of a live etcdctl lock is not removed: never both hold', async () => {
  await using managers = new Managers(world);
  const key = uniqueKey('overwritten');
  const child = server.spawnEtcdctl(['lock', `${key}/.lock`]);
  const [said] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const record = said.toString().trim();
  const sync = managers.make();
  const lock = sync.lock(key);
  expect(await lock.tryLock()).toBeUndefined();
  await server.etcdctl(['put', record, 'mine now']);
  // Who waits is told, and does not hold.
  await until(async () => {
    const outcome = await lock.lock({ timeout: 100 }).then(
      () => 'held',
      (error: { code?: string }) => error.code,
    );
    expect(outcome).not.toBe('held');
    return outcome === 'foreign-record';
  });
  const { stdout } = await server.etcdctl(['get', record, '--print-value-only']);
  expect(stdout.trim()).toBe('mine now');
  // Its operator removes it, when nobody needs it any more.
  child.kill('SIGINT');
  await once(child, 'exit');
  await server.etcdctl(['del', record]);
  await stateOf(lock, 'held');
});
