import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from './child.ts';
import { type ConsulServer, startConsul } from './consul.ts';
import { type EtcdServer, startEtcd, startEtcdCluster } from './etcd.ts';
import { locateBinary } from './locate.ts';
import { reservePorts } from './ports.ts';
import { isRunning } from './running.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 300_000 });

describe('etcd', () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterAll(() => etcd?.[Symbol.asyncDispose]());

  it('counts one proposal for one put and none for a get', async () => {
    const before = await etcd.proposalsCommitted();
    expect(await etcd.etcdctl(['put', 'counted', 'x'])).toMatchObject({ code: 0, stdout: 'OK\n' });
    expect(await etcd.proposalsCommitted()).toBe(before + 1);
    await etcd.etcdctl(['get', 'counted']);
    expect(await etcd.proposalsCommitted()).toBe(before + 1);
  });

  it('tells a metric by its labels, and a misspelt one by an error', async () => {
    const puts = () => etcd.metric('grpc_server_handled_total', { grpc_method: 'Put', grpc_code: 'OK' });
    const before = await puts();
    await etcd.etcdctl(['put', 'counted', 'y']);
    expect(await puts()).toBe(before + 1);
    await expect(etcd.metric('etcd_no_such_metric')).rejects.toThrow('No metric etcd_no_such_metric');
  });

  it('keeps address and data over a crash and over a stop', async () => {
    const { address, pid } = etcd;
    await etcd.etcdctl(['put', 'kept', 'one']);
    await etcd.kill('SIGKILL');
    expect(etcd.running).toBe(false);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    await etcd.restart();
    expect(etcd.address).toBe(address);
    expect((await etcd.etcdctl(['get', 'kept', '--print-value-only'])).stdout).toBe('one\n');
    await etcd.stop();
    await etcd.restart();
    expect((await etcd.etcdctl(['get', 'kept', '--print-value-only'])).stdout).toBe('one\n');
  });

  it('can be paused and continued', async () => {
    await etcd.kill('SIGSTOP');
    const state = () => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${etcd.pid}/status`, 'utf8'))?.[1];
    if (process.platform === 'linux') await vi.waitFor(() => expect(state()).toBe('T'));
    const stalled = await etcd.etcdctl(['put', 'paused', 'x'], { timeout: 300 });
    expect(stalled.code).toBeNull();
    await etcd.kill('SIGCONT');
    expect((await etcd.etcdctl(['put', 'paused', 'x'])).code).toBe(0);
  });

  it('runs an etcdctl that stays', async () => {
    const lock = etcd.spawnEtcdctl(['lock', 'held']);
    const [key] = (await once(lock.stdout ?? lock, 'data')) as [Buffer];
    expect(key.toString()).toMatch(/^held\/[0-9a-f]+\n/);
    lock.kill('SIGTERM');
    await once(lock, 'exit');
    expect((await etcd.etcdctl(['get', '--prefix', 'held/'])).stdout).toBe('');
  });

  it('shows the last lines of a server that cannot start', async () => {
    await expect(startEtcd({ args: ['--no-such-flag'] })).rejects.toThrow(
      /^etcd ended while it was starting\. Its last lines:\n.*no-such-flag/s,
    );
  });
});

it('runs an etcd cluster that survives its leader', async () => {
  const members = await startEtcdCluster(3);
  try {
    const isLeader = await Promise.all(members.map((member) => member.metric('etcd_server_is_leader')));
    const leader = members[isLeader.indexOf(1)];
    const [other] = members.filter((member) => member !== leader);
    await leader?.kill('SIGKILL');
    await vi.waitFor(async () => expect((await other?.etcdctl(['put', 'after', 'x']))?.code).toBe(0), {
      timeout: 20_000,
    });
    await leader?.restart();
    expect((await leader?.etcdctl(['get', 'after', '--print-value-only']))?.stdout).toBe('x\n');
  } finally {
    await Promise.all(members.map((member) => member[Symbol.asyncDispose]()));
  }
});

describe('Consul', () => {
  let consul: ConsulServer;
  beforeAll(async () => {
    consul = await startConsul({ sessionTtlMin: '1s', persistent: true });
  });
  afterAll(() => consul?.[Symbol.asyncDispose]());

  it('counts exactly one log entry for one put and none for a get', async () => {
    // The leader's own entry, once a minute, can fall into one of the attempts but not into all.
    await vi.waitFor(async () => {
      const before = await consul.raftIndex();
      expect((await consul.http('PUT', '/v1/kv/counted', 'x')).body.trim()).toBe('true');
      const after = await consul.raftIndex();
      await consul.http('GET', '/v1/kv/counted?consistent');
      expect([after, await consul.raftIndex()]).toEqual([before + 1, before + 1]);
    });
  });

  it('grants the short session TTL that was asked for', async () => {
    const { status, body } = await consul.http('PUT', '/v1/session/create', '{"TTL":"1s"}');
    expect(status, body).toBe(200);
  });

  it('keeps address and data over a crash', async () => {
    const { address } = consul;
    expect((await consul.cli(['kv', 'put', 'kept', 'one'])).code).toBe(0);
    await consul.kill('SIGKILL');
    await consul.restart();
    expect(consul.address).toBe(address);
    expect((await consul.cli(['kv', 'get', 'kept'])).stdout).toBe('one\n');
  });

  it('denies without a token when asked to', async () => {
    const guarded = await startConsul({ acl: true });
    try {
      expect((await guarded.http('PUT', '/v1/kv/a', 'x')).status).toBe(200);
      expect((await guarded.http('PUT', '/v1/kv/a', 'x', { 'x-consul-token': '' })).status).toBe(403);
      expect((await guarded.cli(['kv', 'get', 'a'])).stdout).toBe('x\n');
    } finally {
      await guarded[Symbol.asyncDispose]();
    }
  });
});

describe('the end of the run', () => {
  it.each([
    ['is killed', []],
    ['exits without stopping anything', ['--exit']],
  ])('takes servers, commands and folders with it when the parent %s', async (_, args) => {
    const fixture = fileURLToPath(new URL('./orphan-fixture.ts', import.meta.url));
    const parent = spawn(process.execPath, ['--import', 'tsx', fixture, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const { pids, folders } = JSON.parse(line.toString()) as { pids: number[]; folders: string[] };
    expect(pids).toHaveLength(3);
    parent.kill('SIGKILL');
    await vi.waitFor(
      () =>
        expect({ pids: pids.filter(isRunning), folders: folders.filter(existsSync) }).toEqual({
          pids: [],
          folders: [],
        }),
      { timeout: 10_000, interval: 50 },
    );
  });

  it('leaves no folder of a server that is disposed', async () => {
    const consul = await startConsul();
    await consul[Symbol.asyncDispose]();
    expect(existsSync(consul.folder)).toBe(false);
  });
});

it('hands out no port twice', async () => {
  const reservations = await Promise.all(Array.from({ length: 50 }, () => reservePorts(7)));
  const ports = reservations.flatMap((reservation) => reservation.ports);
  expect(new Set(ports).size).toBe(350);
  for (const reservation of reservations) reservation.release();
});

describe('a program that cannot be had', () => {
  const folder = temporaryFolder('nowhere');
  const osRelease = join(folder, 'os-release');
  const nowhere = { path: folder, cache: join(folder, 'cache'), aptFolder: folder, osRelease };

  it.each([
    ['another system', 'ID=other\n', '', 'this is not a Debian machine'],
    [
      'no mirror',
      'ID=debian\nVERSION_CODENAME=some\n',
      '',
      'the apt sources of this machine name no Debian mirror',
    ],
    [
      'a mirror without the suite',
      'ID=debian\nVERSION_CODENAME=some\n',
      `deb file:${folder}/debian some main\n`,
      /apt-get failed: E: The repository/,
    ],
  ])('is told in one readable sentence: %s', async (_, release, sources, reason) => {
    writeFileSync(osRelease, release);
    writeFileSync(join(folder, 'sources.list'), sources);
    const failure = (await locateBinary('consul', nowhere).catch((error: unknown) => error)) as Error;
    expect(failure.message).toMatch(/^There is no consul to run: it is not on PATH, [^\n]*\.$/);
    expect(failure.message).toMatch(reason);
    for (const hint of ['bullseye: ', 'docker compose up', 'HOLDFAST_ETCD=', 'HOLDFAST_CONSUL=']) {
      expect(failure.message).toContain(hint);
    }
  });
});
