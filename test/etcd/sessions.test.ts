import { TcpProxy } from 'holdfast/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { etcd } from '../../src/backends/etcd/index.ts';
import type { Backend } from '../../src/contract/backend.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { never, until } from './support.ts';

const wanted = { name: 'test', ttl: 10_000, lockDelay: 0 };

describe('sessions', () => {
  let server: EtcdServer;
  let backend: Backend;

  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(() => {
    backend = etcd({ hosts: server.address });
  });
  afterEach(() => backend[Symbol.asyncDispose]());

  const keepAlives = (name: 'started' | 'handled') =>
    server.metric(`grpc_server_${name}_total`, { grpc_method: 'LeaseKeepAlive' });

  it('are leases, by the id that etcdctl shows, with the TTL that was granted', async () => {
    const session = await backend.openSession({ ...wanted, ttl: 3_001 }, never);
    expect(session.ttl).toBe(4_000);
    expect(session.id).toMatch(/^[1-9a-f][0-9a-f]*$/);
    const { stdout } = await server.etcdctl(['lease', 'timetolive', session.id]);
    expect(stdout).toMatch(/granted with TTL\(4s\)/);
    await backend.closeSession(session.id, never);
  });

  it.each([0, -1, Number.NaN, Infinity, 1_999, 86_400_001])('are refused with a TTL of %d', async (ttl) => {
    await using nowhere = etcd({ hosts: '127.0.0.1:1' });
    await expect(nowhere.openSession({ ...wanted, ttl }, never)).rejects.toMatchObject({
      code: 'invalid-option',
    });
  });

  it('are renewed over one stream, which ends with the session', async () => {
    const [first, second] = await Promise.all([
      backend.openSession(wanted, never),
      backend.openSession(wanted, never),
    ]);
    const [started, handled] = await Promise.all([keepAlives('started'), keepAlives('handled')]);
    const ids = Array.from({ length: 40 }, (_, n) => (n % 2 ? first.id : second.id));
    const results = await Promise.all(ids.map((id) => backend.renewSession(id, never)));
    expect(new Set(results)).toEqual(new Set(['renewed']));
    expect((await keepAlives('started')) - started).toBe(1);
    await backend.closeSession(first.id, never);
    await backend.closeSession(second.id, never);
    await until('the stream to end', async () => (await keepAlives('handled')) - handled === 1);
    expect(await backend.renewSession(first.id, never)).toBe('gone');
    await backend.closeSession(first.id, never);
  });

  it.each(['', '0', 'zz', '00ff', 'f'.repeat(16), 'f'.repeat(17), 'abc'])(
    'with the id %j are gone',
    async (id) => {
      expect(await backend.renewSession(id, never)).toBe('gone');
      await backend.closeSession(id, never);
    },
  );

  it('are not renewed by the answer to a renewal that was given up', async () => {
    const session = await backend.openSession(wanted, never);
    const controller = new AbortController();
    const reason = new Error('enough');
    const given = backend.renewSession(session.id, controller.signal);
    const kept = backend.renewSession(session.id, never);
    controller.abort(reason);
    await expect(given).rejects.toBe(reason);
    expect(await kept).toBe('renewed');
    expect(await backend.renewSession(session.id, never)).toBe('renewed');
    await backend.closeSession(session.id, never);
  });

  it('are renewed over a new connection when the old one has fallen silent', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using through = etcd({ hosts: proxy.address, requestTimeout: 4_000 });
    const session = await through.openSession(wanted, never);
    expect(await through.renewSession(session.id, never)).toBe('renewed');
    expect(proxy.accepted).toBe(1);
    proxy.silence();
    expect(await through.renewSession(session.id, never)).toBe('renewed');
    expect(proxy.accepted).toBe(2);
    await through.closeSession(session.id, never);
  });

  it('are renewed over a new connection also when the caller gives up before our own limit', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using through = etcd({ hosts: proxy.address, requestTimeout: 1_000 });
    const session = await through.openSession(wanted, never);
    proxy.silence();
    await expect(through.renewSession(session.id, AbortSignal.timeout(400))).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(await through.renewSession(session.id, never)).toBe('renewed');
    await through.closeSession(session.id, never);
  });

  it('fail and do not hang when the server is gone', async () => {
    await using own = await startEtcd();
    await using alone = etcd({ hosts: own.address, requestTimeout: 1_000 });
    const session = await alone.openSession(wanted, never);
    expect(await alone.renewSession(session.id, never)).toBe('renewed');
    await own.kill();
    await expect(alone.renewSession(session.id, never)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(alone.openSession(wanted, never)).rejects.toMatchObject({ code: 'unavailable' });
    await own.restart();
    await until('a renewal', async () => {
      const result = await alone.renewSession(session.id, never).catch(() => undefined);
      return result === 'renewed';
    });
  });
});
