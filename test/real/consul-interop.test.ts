import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { consul } from 'holdfast/consul';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Managers, stateOf, uniqueKey, until, type World } from '../scenarios/world.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { alternate } from './interop.ts';

// The rule of names: the lock `k` is the KV record `k`, and `consul lock P` takes the record `P/.lock`.
let server: ConsulServer;
let world: World;

beforeAll(async () => {
  server = await startConsul();
  world = {
    name: 'Consul',
    ttl: 10_000,
    lockDelay: 1_000,
    backend: () => consul({ addresses: [server.address] }),
  };
});
afterAll(() => server?.[Symbol.asyncDispose]());

test('consul lock keeps us out, and we keep it out', async () => {
  await using managers = new Managers(world);
  const prefix = uniqueKey('cli');
  const lock = managers.make().lock(`${prefix}/.lock`);
  const theirs = server.spawnCli(['lock', prefix, 'echo in; exec sleep 60']);
  let output = '';
  theirs.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  await until(() => output.includes('in'));
  expect(await lock.tryLock()).toBeUndefined();
  theirs.kill('SIGINT');
  await stateOf(lock, 'held');

  const refused = await server.cli(['lock', '-timeout=300ms', prefix, 'echo', 'in']);
  expect(refused.code).not.toBe(0);
  expect(refused.stdout).not.toContain('in\n');
  await lock.release();
  const granted = await server.cli(['lock', prefix, 'echo', 'in']);
  expect(granted).toMatchObject({ code: 0, stdout: 'in\n' });
});

test('20 alternations with consul lock: never two holders', async () => {
  await using managers = new Managers(world);
  const prefix = uniqueKey('alternate');
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-interop-'));
  try {
    const log = join(folder, 'log');
    const visits = await alternate(managers.make(), `${prefix}/.lock`, log, async (script) => {
      const result = await server.cli(['lock', prefix, script], { timeout: 60_000 });
      expect(result.code, result.stderr).toBe(0);
    });
    expect(visits).toEqual({ ours: 20, theirs: 20 });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  ['a Consul semaphore', '16210313421097356768'],
  ['go-lanai dsync', '2837033986114203673'],
  ['a neighbour of our own flags', '3304740253564472345'],
  ['a plain value', '0'],
])('FAULTS 17: a key with the flags of %s is a typed conflict, and stays untouched', async (_, flags) => {
  await using managers = new Managers(world);
  const key = uniqueKey('foreign');
  await server.http('PUT', `/v1/kv/${key}?flags=${flags}`, 'precious');
  const before = await server.http('GET', `/v1/kv/${key}`);
  const sync = managers.make();
  const lock = sync.lock(key);
  const conflict = expect.objectContaining({ code: 'foreign-record', message: expect.stringContaining(key) });
  await expect(lock.lock()).rejects.toThrow(conflict);
  await expect(lock.tryLock()).rejects.toThrow(conflict);
  await expect(sync.tryAcquire(`${key}`)).resolves.toBeUndefined();
  await lock.release();
  await expect(sync.acquire(key)).rejects.toThrow(conflict);
  expect((await server.http('GET', `/v1/kv/${key}`)).body).toBe(before.body);

  // Once it is gone, a standing claim goes on by itself.
  await expect(lock.lock()).rejects.toThrow(conflict);
  await server.http('DELETE', `/v1/kv/${key}`);
  await stateOf(lock, 'held');
});

test('FAULTS 17: a semaphore of `consul lock -n` is a typed conflict, and goes on undisturbed', async () => {
  await using managers = new Managers(world);
  const prefix = uniqueKey('semaphore');
  const theirs = server.spawnCli(['lock', '-n=2', prefix, 'echo in; exec sleep 60']);
  let output = '';
  theirs.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  await until(() => output.includes('in'));
  const before = await server.http('GET', `/v1/kv/${prefix}/.lock`);
  const lock = managers.make().lock(`${prefix}/.lock`);
  const conflict = expect.objectContaining({
    code: 'foreign-record',
    message: expect.stringContaining('semaphore'),
  });
  await expect(lock.lock()).rejects.toThrow(conflict);
  await lock.release();
  expect((await server.http('GET', `/v1/kv/${prefix}/.lock`)).body).toBe(before.body);
  // The other slot of two.
  expect(await server.cli(['lock', '-n=2', prefix, 'echo', 'in'])).toMatchObject({ code: 0, stdout: 'in\n' });
  theirs.kill('SIGINT');
});

test('with the flags of another client chosen, its locks and ours exclude one another', async () => {
  const lanai = 2837033986114203673n;
  await using managers = new Managers({
    ...world,
    backend: () => consul({ addresses: [server.address], lockFlags: lanai }),
  });
  const key = uniqueKey('lanai');
  const created = await server.http('PUT', '/v1/session/create', '{"TTL":"10s","Behavior":"delete"}');
  const { ID } = JSON.parse(created.body) as { ID: string };
  const acquired = await server.http('PUT', `/v1/kv/${key}?acquire=${ID}&flags=${lanai}`, '{}');
  expect(acquired.body.trim()).toBe('true');
  const lock = managers.make().lock(key);
  expect(await lock.tryLock()).toBeUndefined();
  await server.http('PUT', `/v1/kv/${key}?release=${ID}&flags=${lanai}`, '{}');
  const grant = await lock.lock();
  expect(grant.held).toBe(true);
});

test('FAULTS 34: a TTL that the option allows but the server does not is refused by the server, and told at once', async () => {
  // This server has its default minimum of 10 s.
  await using managers = new Managers({
    ...world,
    ttl: 2_000,
    backend: () => consul({ addresses: [server.address], sessionTtlMin: 1_000 }),
  });
  const lock = managers.make().lock(uniqueKey('ttl'));
  const refused = expect.objectContaining({
    code: 'invalid-option',
    message: expect.stringContaining('TTL'),
  });
  await expect(lock.lock()).rejects.toThrow(refused);
  await expect(lock.tryLock()).rejects.toThrow(refused);
});
