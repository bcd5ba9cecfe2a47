import { createServer as createHttp2Server } from 'node:http2';
import { Etcd3 } from 'etcd3';
import type { Backend } from 'holdfast';
import { TcpProxy } from 'holdfast/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type EtcdTls, etcd } from '../../src/backends/etcd/index.ts';
import { isLasting } from '../../src/contract/retry.ts';
import { slowed } from '../busy.ts';
import { fakeTcp } from '../consul/support.ts';
import { losses, Managers } from '../scenarios/world.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { Certificates } from './certificates.ts';
import { Names, Relay } from './names.ts';
import { never, put, textOf, uniqueName, until } from './support.ts';

/** Milliseconds. Half of it is far above what a crowded machine needs for one request. */
const REQUEST_TIMEOUT = 8_000;

const session = { name: 'test', ttl: 60_000, lockDelay: 0 };

const failureOf = (call: Promise<unknown>): Promise<Error> =>
  call.then(
    () => new Error('it did not fail'),
    (error: Error) => error,
  );

let server: EtcdServer;

beforeAll(async () => {
  server = await startEtcd();
});
afterAll(() => server[Symbol.asyncDispose]());
afterEach(() => vi.unstubAllEnvs());

describe('C1: etcd, a connection that has fallen silent', () => {
  it('is left after half of the time-out, and reads, renewals and ends of sessions go on by a new one', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using backend = etcd({ hosts: proxy.address, requestTimeout: REQUEST_TIMEOUT });
    for (const repeatable of [
      () => backend.query({ key: uniqueName() }, { signal: never }),
      () => backend.renewSession('abc', never),
      () => backend.closeSession('abc', never),
      () => backend.commit({ when: [], then: [], read: { key: 'a' } }, never),
    ]) {
      await put(backend, uniqueName());
      await backend.renewSession('abc', never);
      const { accepted } = proxy;
      proxy.silence();
      const at = performance.now();
      await repeatable();
      expect(performance.now() - at).toBeGreaterThan(REQUEST_TIMEOUT / 2 - 1);
      expect(performance.now() - at).toBeLessThan(REQUEST_TIMEOUT);
      expect(proxy.accepted).toBe(accepted + 1);
    }
  }, 120_000);

  it('keeps what may not be sent twice until its time is over, and takes nothing else', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using backend = etcd({ hosts: proxy.address, requestTimeout: REQUEST_TIMEOUT });
    const key = uniqueName();
    await put(backend, key, 'one');
    proxy.silence();
    const at = performance.now();
    const written = failureOf(put(backend, key, 'two')).then((error) => [error, performance.now()] as const);
    await until('a new connection', async () => {
      const { records } = await backend.query({ key }, { signal: never });
      return textOf(records[0]) === 'one';
    });
    expect(await put(backend, key, 'three')).toMatchObject({ ok: true });
    const [error, told] = await written;
    expect(error).toMatchObject({ code: 'unavailable', outcome: 'unknown' });
    expect(told - at).toBeGreaterThan(REQUEST_TIMEOUT - 1);
    expect(proxy.accepted).toBe(2);
  }, 60_000);

  it('is not one on which others are answered, nor one on which somebody only waits', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using backend = etcd({ hosts: proxy.address, requestTimeout: 1_000 });
    const { at } = await backend.query({ key: 'quiet' }, { signal: never });
    await backend.query({ key: 'quiet' }, { since: at, wait: 3_000, signal: never });
    expect(proxy.accepted).toBe(1);
  });

  it('of two addresses takes no lock along', async () => {
    await using one = await TcpProxy.open(server.address);
    await using other = await TcpProxy.open(server.address);
    const backend = (): Backend => etcd({ hosts: [one.address, other.address] });
    await using managers = new Managers({ name: 'etcd', ttl: 15_000, lockDelay: 0, backend });
    const lock = managers.make().lock(uniqueName());
    const lost = losses(lock);
    const grant = await lock.lock();
    const [used, idle] = one.open > 0 ? [one, other] : [other, one];
    // New connections to it are taken, and not answered either.
    used.set({ cut: 'both' });
    await until('the other address', () => idle.open > 0);
    await new Promise((resolve) => setTimeout(resolve, 16_000));
    expect(lost).toEqual([]);
    expect(grant.held).toBe(true);
    used.heal();
  }, 90_000);

  it('wakes those who wait on it, who go on by the new one', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using backend = etcd({ hosts: proxy.address, requestTimeout: 4_000 });
    await using direct = etcd({ hosts: server.address });
    const key = uniqueName();
    const { at } = await backend.query({ key }, { signal: never });
    const waiting = backend.query({ key }, { since: at, signal: never });
    await backend.commit({ when: [{ key, is: 'absent' }], then: [] }, never);
    await until('the watch', async () => (await server.metric('etcd_debugging_mvcc_watcher_total')) > 0);
    proxy.silence();
    await put(direct, key, 'news');
    await backend.query({ key: 'other' }, { signal: never });
    expect(textOf((await waiting).records[0])).toBe('news');
  }, 60_000);
});

describe('C2: etcd', () => {
  it('what is refused of one moves nobody to another connection', async () => {
    await using one = await TcpProxy.open(server.address);
    await using other = await TcpProxy.open(server.address);
    await using backend = etcd({ hosts: [one.address, other.address] });
    const key = uniqueName();
    await put(backend, key);
    const value = new Uint8Array(800_000);
    for (let n = 0; n < 20; n++) {
      const gone = { put: key, value: new Uint8Array(), session: 'abc' };
      expect(await backend.commit({ when: [], then: [gone] }, never)).toMatchObject({ why: 'session-gone' });
      const large = [0, 1].map((part) => ({ put: `${key}/${part}`, value }));
      await expect(backend.commit({ when: [], then: large }, never)).rejects.toMatchObject({
        code: 'value-too-large',
      });
    }
    expect(one.accepted + other.accepted).toBe(1);
  });
});

describe('C3: etcd, a name whose address changes', () => {
  it.each(['refuses connections', 'says nothing any more'])(
    'is resolved anew when the old address %s',
    async (how) => {
      using names = new Names();
      await using old = await Relay.open('127.0.0.2', server.address);
      names.set('etcd.test', '127.0.0.2');
      await using backend = etcd({ hosts: `etcd.test:${old.port}` });
      const { id } = await backend.openSession(session, never);
      expect(await backend.renewSession(id, never)).toBe('renewed');
      await using _new = await Relay.open('127.0.0.3', server.address, old.port);
      if (how === 'refuses connections') await old[Symbol.asyncDispose]();
      else old.freeze();
      names.set('etcd.test', '127.0.0.3');
      const at = performance.now();
      await until('a renewal', async () => {
        const result = await backend.renewSession(id, never).catch(() => undefined);
        return result === 'renewed';
      });
      // Half of the time-out, and no more than a pause.
      expect(performance.now() - at).toBeLessThan(slowed(4_000));
    },
    60_000,
  );

  it('that has none is told by its name, and found when it has', async () => {
    using names = new Names();
    await using relay = await Relay.open('127.0.0.3', server.address);
    names.set('etcd.test', undefined);
    await using backend = etcd({ hosts: `etcd.test:${relay.port}` });
    expect(String(await failureOf(put(backend, 'a')))).toContain(`etcd at etcd.test:${relay.port} was not`);
    names.set('etcd.test', '127.0.0.3');
    await until('an answer', () => put(backend, 'a').then(Boolean, () => false));
  });
});

describe('C4: etcd, what is rotated', () => {
  it('a password that is given by a function is asked for at each login, and again when it is refused', async () => {
    await using own = await startEtcd({ args: ['--auth-token-ttl=1', '--bcrypt-cost=4'] });
    for (const args of [
      ['user', 'add', 'root:first'],
      ['user', 'grant-role', 'root', 'root'],
      ['auth', 'enable'],
    ])
      expect((await own.etcdctl(args)).code).toBe(0);
    const asked: string[] = [];
    let password = 'first';
    const given = async (): Promise<string> => {
      asked.push(password);
      return password;
    };
    await using backend = etcd({ hosts: own.address, username: () => 'root', password: given });
    const key = uniqueName();
    await put(backend, key);
    await put(backend, key);
    expect(asked).toEqual(['first']);

    const rotate = async (from: string, to: string): Promise<void> => {
      const passwd = ['--user', `root:${from}`, 'user', 'passwd', '--interactive=false', 'root'];
      expect((await own.etcdctl(passwd, { input: `${to}\n` })).code).toBe(0);
    };
    await rotate('first', 'second');
    password = 'second';
    expect(await put(backend, key)).toMatchObject({ ok: true });
    expect(asked).toEqual(['first', 'second']);

    // Known to the server first, and only then to us: the login in between is refused.
    await rotate('second', 'third');
    let stale = true;
    await using late = etcd({
      hosts: own.address,
      username: 'root',
      password: () => {
        if (!stale) return 'third';
        stale = false;
        return 'second';
      },
    });
    expect(await put(late, key)).toMatchObject({ ok: true });
  });

  it('a function that fails or gives nothing is named, waited out or told, and nothing of it is shown', async () => {
    const failing = (): string => {
      throw new Error('hunter2');
    };
    await using backend = etcd({ hosts: server.address, username: 'a', password: failing });
    const error = await failureOf(put(backend, 'a'));
    expect(error).toMatchObject({ code: 'unavailable', outcome: 'refused' });
    expect(error.message).toContain('"username" or "password"');
    expect(`${error.stack} ${(error.cause as Error | undefined)?.stack}`).not.toContain('hunter2');
    const nothing = (): string => '';
    await using empty = etcd({ hosts: server.address, username: 'a', password: nothing });
    await expect(put(empty, 'a')).rejects.toMatchObject({ code: 'invalid-option', outcome: 'refused' });
    await expect(empty.renewSession('abc', never)).rejects.toMatchObject({ code: 'invalid-option' });
  });

  it('TLS that is given by a function is asked for at each connection', async () => {
    await using certificates = await Certificates.create();
    const [ca, other] = [await certificates.authority(), await certificates.authority()];
    const { certFile, keyFile } = await certificates.issue(ca, 'IP:127.0.0.1');
    await using own = await startEtcd({
      tls: { certFile, keyFile, trustedCaFile: ca.certFile, clientCertAuth: true },
    });
    const client = await certificates.issue(ca, 'DNS:client');
    let trusted = other.cert;
    let asked = 0;
    const tls = (): EtcdTls => {
      asked += 1;
      return { ca: trusted, cert: client.cert, key: client.key };
    };
    await using backend = etcd({ hosts: own.url, tls });
    await expect(put(backend, 'a')).rejects.toMatchObject({ code: 'insecure' });
    trusted = ca.cert;
    await until('a connection', () => put(backend, 'a').then(Boolean, () => false));
    const before = asked;
    await put(backend, 'a');
    expect(asked).toBe(before);
    await own.restart();
    await until('another connection', () => put(backend, 'a').then(Boolean, () => false));
    expect(asked).toBeGreaterThan(before);
  });
});

describe('C5: etcd, a connection that is reset', () => {
  it('is nothing to reads and renewals that had no answer, and unknown to a write', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using backend = etcd({ hosts: proxy.address });
    const key = uniqueName();
    const { id } = await backend.openSession(session, never);
    await put(backend, key, 'one');
    for (let n = 0; n < 3; n++) {
      expect(await backend.renewSession(id, never)).toBe('renewed');
      proxy.resetAfter(0);
      expect(textOf((await backend.query({ key }, { signal: never })).records[0])).toBe('one');
      expect(await backend.renewSession(id, never)).toBe('renewed');
      proxy.resetAfter(0);
      expect(await backend.renewSession(id, never)).toBe('renewed');
    }
    proxy.resetAfter(0);
    expect(await failureOf(put(backend, key, 'two'))).toMatchObject({
      code: 'unavailable',
      outcome: 'unknown',
    });
  });
});

describe('C6: etcd', () => {
  it('goes by no proxy of the environment, and its errors name what was dialled', async () => {
    let taken = 0;
    await using web = await fakeTcp((socket) => {
      taken += 1;
      socket.destroy();
    });
    for (const name of ['http_proxy', 'https_proxy', 'grpc_proxy']) vi.stubEnv(name, `http://${web.address}`);
    for (const name of ['no_proxy', 'no_grpc_proxy']) vi.stubEnv(name, '');
    await using backend = etcd({ hosts: server.address });
    expect(await put(backend, uniqueName())).toMatchObject({ ok: true });
    await using dead = etcd({ hosts: '127.0.0.1:1' });
    expect(String(await failureOf(put(dead, 'a')))).toContain('etcd at 127.0.0.1:1 was not reached');
    expect(taken).toBe(0);
    // Who lends a client has set it up.
    const client = new Etcd3({ hosts: server.address });
    await using lent = etcd({ client });
    expect(String(await failureOf(put(lent, 'a')))).toContain(`etcd at ${server.address} `);
    expect(taken).toBeGreaterThan(0);
    client.close();
  });
});

describe('C7: etcd', () => {
  it('a namespace of a client is refused by name: its prefix would be dropped', () => {
    const client = new Etcd3({ hosts: server.address });
    const namespace = client.namespace('team-a/') as Etcd3;
    expect(() => etcd({ client: namespace })).toThrowError(
      expect.objectContaining({ code: 'invalid-option', message: expect.stringContaining('namespace') }),
    );
    client.close();
  });
});

describe('C9: etcd behind a load balancer', () => {
  it.each([401, 403, 404, 405, 500, 503])('that answers %i for a while is waited out', async (status) => {
    const balancer = createHttp2Server((_, response) => response.writeHead(status).end());
    balancer.on('error', () => undefined);
    await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve));
    const { port } = balancer.address() as { port: number };
    await using front = await Relay.open('127.0.0.1', `127.0.0.1:${port}`);
    try {
      await using bare = etcd({ hosts: front.address });
      for (const call of [
        () => put(bare, 'a'),
        () => bare.query({ key: 'a' }, { signal: never }),
        () => bare.openSession(session, never),
        () => bare.renewSession('abc', never),
      ]) {
        const error = await failureOf(call());
        expect(error).toMatchObject({ name: 'SyncError' });
        expect(isLasting(error), String(error)).toBe(false);
        expect(error.message).toContain(`Received HTTP status code ${status}`);
      }
      const backend = (): Backend => etcd({ hosts: front.address });
      await using managers = new Managers({ name: 'etcd', ttl: 10_000, lockDelay: 0, backend });
      const waiting = managers.make().acquire(uniqueName());
      const early = await Promise.race([
        waiting,
        new Promise((resolve) => setTimeout(resolve, 1_000, 'waits')),
      ]);
      expect(early).toBe('waits');
      front.to(server.address);
      expect((await waiting).held).toBe(true);
    } finally {
      await new Promise((resolve) => balancer.close(resolve));
    }
  });
});

describe('C11: etcd', () => {
  it.each([
    'http://10.0.0.1:2379/v3?token=hunter2',
    'https://me:hunter2@10.0.0.1:2379',
    'me:hunter2@10.0.0.1',
    'http://hunter2 :2379',
    'hunter2://10.0.0.1',
    'http://10.0.0.1:hunter2',
  ])('shows nothing of the address %j', (hosts) => {
    expect(() => etcd({ hosts })).toThrowError(expect.objectContaining({ code: 'invalid-option' }));
    expect(() => etcd({ hosts })).not.toThrowError(/hunter2|10\.0\.0\.1:2379\//);
  });

  it('shows host and port of a client that was lent, and no more', async () => {
    const client = new Etcd3({ hosts: 'http://me:hunter2@nosuch.invalid:2379' });
    await using backend = etcd({ client, requestTimeout: 2_000 });
    const error = await failureOf(put(backend, 'a'));
    expect(error).toMatchObject({ code: 'unavailable' });
    const told = `${error.stack} ${(error.cause as Error).stack}`;
    expect(told).toContain('etcd at nosuch.invalid:2379 ');
    expect(told).not.toContain('hunter2');
    client.close();
  });
});
