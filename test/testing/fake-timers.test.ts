import { createServer } from 'node:net';
import { isSyncError, SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { MemoryStore, memory } from 'holdfast/memory';
import { conformance, LockHistory, TcpProxy, VirtualClock } from 'holdfast/testing';
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { systemClock } from '../../src/async/clock.ts';
import { uniquePrefix } from '../conformance/unique-prefix.ts';
import { QUIET } from '../quiet.ts';
import { Client } from './client.ts';

type Install = () => void;

const fakes: [string, Install][] = [
  ['as Vitest installs them', () => vi.useFakeTimers()],
  // Jest leaves nothing out; `nextTick` Vitest cannot replace in a process of its own.
  [
    'as Jest installs them',
    () =>
      vi.useFakeTimers({
        toFake: [
          ...(['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate'] as const),
          ...(['clearImmediate', 'queueMicrotask', 'performance', 'Date', 'hrtime'] as const),
        ],
      }),
  ],
];

afterEach(() => {
  vi.useRealTimers();
});

describe.each(fakes)('E12: under fake timers %s', (_, install) => {
  beforeEach(() => install());

  test('a virtual clock goes on when the test says so', async () => {
    const clock = new VirtualClock();
    let fired = 0;
    clock.after(10, () => fired++);
    await clock.advance(10);
    await clock.runUntil(() => fired === 1);
    expect([fired, clock.now()]).toEqual([1, 10]);
  });

  test('a manager on a virtual clock loses its lock when its time is over, and not before', async () => {
    const clock = new VirtualClock();
    const store = new MemoryStore({ clock });
    const sync = new SyncManager({
      name: 'svc',
      backend: memory({ store }),
      clock,
      logger: QUIET,
      session: { ttl: 5_000 },
    });
    const grant = await sync.acquire('k');
    await clock.advance(60_000);
    expect(grant.held).toBe(true);
    const [session] = store.sessions();
    store.destroySession(session?.id ?? '');
    await clock.runUntil(() => !grant.held, 5_000);
    const stopped = sync.stop();
    await clock.advance(5_000);
    await stopped;
  });

  test('the system’s clock is one clock: a faked half of it makes no doubt, and its timers fire', async () => {
    const lead = systemClock.wall() - systemClock.now();
    vi.setSystemTime(Date.now() + 3_600_000);
    vi.advanceTimersByTime(60_000);
    expect(Math.abs(systemClock.wall() - systemClock.now() - lead)).toBeLessThan(1_000);
    await new Promise<void>((resolve) => void systemClock.after(5, resolve));

    const sync = new SyncManager({ name: 'svc', backend: memory(), logger: QUIET });
    const grant = await sync.acquire('k');
    vi.setSystemTime(Date.now() + 3_600_000);
    vi.advanceTimersByTime(3_600_000);
    expect([grant.held, grant.suspended]).toEqual([true, false]);
    const behind = sync.acquire('k', { timeout: 20 }).catch((error: unknown) => error);
    expect(isSyncError(await behind, 'deadlock') || isSyncError(await behind, 'timeout')).toBe(true);
    await sync.stop();
  });

  test('a proxy delays, and a history has its times', async () => {
    const server = createServer((socket) => socket.on('error', () => {}).end('here'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await using proxy = await TcpProxy.open(`127.0.0.1:${port}`);
    proxy.set({ delay: 20 });
    using client = new Client(proxy.address);
    await new Promise((resolve) => client.socket.once('end', resolve));
    expect(client.text).toBe('here');
    server.close();

    const history = new LockHistory();
    const acquiring = history.acquiring('a');
    await new Promise<void>((resolve) => void systemClock.after(2, resolve));
    acquiring.granted(1n);
    history.acquiring('b').granted(1n);
    // Told with its times: that they are those of real clocks shows in that they differ.
    expect(history.check()).toMatchObject({ ok: false, message: expect.stringMatching(/[1-9]/) });
  });

  test.each([
    ['consul', () => consul({ addresses: [inject('consulAddress')] })],
    ['memory', () => memory()],
  ])('a lock of %s is acquired, and given back', async (name, backend) => {
    const sync = new SyncManager({ name: `svc-${name}`, backend: backend(), logger: QUIET });
    const key = `${uniquePrefix()}k`;
    const grants = await Promise.all([1, 2, 3].map((number) => sync.acquire(`${key}${number}`)));
    expect(grants.every(({ held }) => held)).toBe(true);
    await Promise.all(grants.map((grant) => grant.release()));
    await sync.stop();
  });

  test('gRPC waits for timers that do not fire: a call on etcd ends by its own timeout, which does', async () => {
    const sync = new SyncManager({
      name: 'svc',
      backend: etcd({ hosts: inject('etcdAddress') }),
      logger: QUIET,
    });
    const told = await sync.acquire(`${uniquePrefix()}k`, { timeout: 300 }).catch((error: unknown) => error);
    expect(isSyncError(told, 'timeout')).toBe(true);
    await sync.stop();
  });

  test('the suite for backends comes to its end', async () => {
    const store = new MemoryStore();
    const cases = conformance({
      name: 'memory',
      open: () => memory({ store }),
      prefix: uniquePrefix,
      sessionTtl: 1_000,
      expiryFactor: 1,
    });
    const slow = cases.filter((each) => each.slow);
    expect(slow.length).toBeGreaterThan(3);
    await Promise.all(slow.map(({ run }) => run()));
  });
});
