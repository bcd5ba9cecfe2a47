import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EtcdOptions, etcd } from '../../src/backends/etcd/index.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { never, put, textOf, until } from './support.ts';

const PASSWORD = 'correct horse battery staple';
/** Seconds. The server takes whole ones. */
const TOKEN_TTL = 1;

describe('auth', () => {
  let server: EtcdServer;
  const root = ['--user', `root:${PASSWORD}`];

  beforeAll(async () => {
    server = await startEtcd({ args: [`--auth-token-ttl=${TOKEN_TTL}`, '--bcrypt-cost=4'] });
    for (const args of [
      ['user', 'add', `root:${PASSWORD}`],
      ['user', 'grant-role', 'root', 'root'],
      ['role', 'add', 'locker'],
      ['role', 'grant-permission', 'locker', '--prefix=true', 'readwrite', 'mine/'],
      ['user', 'add', `locker:${PASSWORD}`],
      ['user', 'grant-role', 'locker', 'locker'],
      ['auth', 'enable'],
    ]) {
      const { code, stderr } = await server.etcdctl(args);
      if (code !== 0) throw new Error(`etcdctl ${args.join(' ')} failed: ${stderr}`);
    }
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const as = (username: string, password = PASSWORD): EtcdOptions => ({
    hosts: server.address,
    username,
    password,
  });
  const tokenExpiry = () => new Promise((resolve) => setTimeout(resolve, TOKEN_TTL * 1_000 + 1_500));

  async function everyVerb(options: EtcdOptions, between: () => Promise<unknown>): Promise<void> {
    await using backend = etcd(options);
    const session = await backend.openSession({ name: 'test', ttl: 20_000, lockDelay: 0 }, never);
    await between();
    expect(await put(backend, 'mine/a', 'one')).toMatchObject({ ok: true });
    expect(await backend.renewSession(session.id, never)).toBe('renewed');
    const { at, records } = await backend.query({ prefix: 'mine/' }, { signal: never });
    expect(records.length).toBeGreaterThan(0);
    await between();
    let since = at;
    let value = '';
    const waiting = (async () => {
      while (value !== 'two') {
        const result = await backend.query({ key: 'mine/a' }, { since, signal: never });
        since = result.at;
        value = textOf(result.records[0]);
      }
    })();
    await until('the watch', async () => (await server.metric('etcd_debugging_mvcc_watcher_total')) > 0);
    await put(backend, 'mine/a', 'two');
    await waiting;
    await backend.closeSession(session.id, never);
  }

  it('refuses what is not granted also among commits issued together, and applies the others', async () => {
    await using backend = etcd(as('locker'));
    const keys = ['mine/together/a', 'theirs/together', 'mine/together/b'];
    const results = await Promise.allSettled(keys.map((key) => put(backend, key)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: { code: 'permission-denied' } });
    const { stdout } = await server.etcdctl([...root, 'get', 'theirs/together']);
    expect(stdout).toBe('');
  });

  it('A4: lets nobody in without a login, however many ask in the same moment', async () => {
    await using backend = etcd({ hosts: server.address });
    for (const together of [1, 2, 150]) {
      const keys = Array.from({ length: together }, (_, n) => `anonymous/${together}/${n}`);
      const results = await Promise.allSettled(keys.map((key) => put(backend, key)));
      for (const result of results) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'permission-denied' } });
      }
      const reads = await Promise.allSettled(keys.map((key) => backend.query({ key }, { signal: never })));
      for (const read of reads) {
        expect(read).toMatchObject({ status: 'rejected', reason: { code: 'permission-denied' } });
      }
    }
    const { stdout } = await server.etcdctl([...root, 'get', '--prefix', 'anonymous/']);
    expect(stdout).toBe('');
  });

  it('A4: tells each of many reads asked for together what it may see itself', async () => {
    await using backend = etcd(as('locker'));
    await put(backend, 'mine/read');
    const keys = ['mine/read', 'theirs/read', 'mine/none'];
    const reads = await Promise.allSettled(keys.map((key) => backend.query({ key }, { signal: never })));
    expect(reads.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(reads[1]).toMatchObject({ reason: { code: 'permission-denied' } });
  });

  it('works for every verb, and fetches a new token when the old one has expired', () =>
    everyVerb(as('locker'), tokenExpiry));

  it('works for every verb over a restart of the server, which forgets all tokens', async () => {
    await using backend = etcd(as('locker'));
    await put(backend, 'mine/a', 'kept');
    await server.restart();
    await until('an answer', async () => {
      const result = await backend.query({ key: 'mine/a' }, { signal: never }).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'unavailable' });
      });
      return textOf(result?.records[0]) === 'kept';
    });
  });

  it('fetches one token for many calls that were refused at once', async () => {
    await using backend = etcd(as('locker'));
    await put(backend, 'mine/a');
    const logins = () => server.metric('grpc_server_handled_total', { grpc_method: 'Authenticate' });
    const before = await logins();
    await tokenExpiry();
    await Promise.all(Array.from({ length: 50 }, (_, n) => put(backend, `mine/${n}`)));
    expect((await logins()) - before).toBe(1);
  });

  it("renews the token of the application's own client", async () => {
    const client = new Etcd3({ hosts: server.address, auth: { username: 'locker', password: PASSWORD } });
    await everyVerb({ client }, tokenExpiry);
    // It was not closed.
    expect(await client.get('mine/a').string()).toBe('two');
    client.close();
  });

  it('many waits on a stream whose token has expired are all made anew', async () => {
    await using backend = etcd(as('locker'));
    await put(backend, 'mine/a');
    const { at } = await backend.query({ prefix: 'mine/' }, { signal: never });
    // Keeps the stream open, with the token of now.
    const stop = new AbortController();
    const held = backend.query({ key: 'mine/quiet' }, { since: at, signal: stop.signal });
    const ended = expect(held).rejects.toThrow('enough');
    await tokenExpiry();
    const keys = ['mine/x', 'mine/y', 'mine/z', 'mine/a'];
    const waits = keys.map((key) => backend.query({ key }, { since: at, wait: 1_000, signal: never }));
    expect((await Promise.all(waits)).map(({ records }) => records.length)).toEqual([0, 0, 0, 1]);
    stop.abort(new Error('enough'));
    await ended;
  });

  it('survives a change of roles, after which the server wants a newer token', async () => {
    await using backend = etcd(as('locker'));
    await put(backend, 'mine/a');
    await server.etcdctl([...root, 'role', 'add', 'other']);
    expect(await put(backend, 'mine/a')).toMatchObject({ ok: true });
  });

  it.each([
    ['a wrong password', () => as('locker', 'nonsense'), 'mine/a', 'nonsense'],
    ['an unknown user', () => as('nobody'), 'mine/a', PASSWORD],
    ['no credentials', () => ({ hosts: server.address }), 'mine/a', PASSWORD],
    ['a key outside of the role', () => as('locker'), 'others/a', PASSWORD],
  ])('refuses %s as permission-denied, and tells no secret', async (_, options, key, secret) => {
    await using backend = etcd(options());
    for (const call of [
      () => put(backend, key),
      () => backend.query({ key }, { signal: never }),
      () => backend.query({ key }, { since: '["1"]', signal: never }),
    ]) {
      const error = await call().then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(error).toMatchObject({ name: 'SyncError', code: 'permission-denied' });
      const told = `${(error as Error).stack} ${JSON.stringify(error)} ${((error as Error).cause as Error)?.stack}`;
      expect(told).not.toContain(secret);
    }
  });

  it('rejects a wait whose permission is taken away', async () => {
    await server.etcdctl([...root, 'role', 'add', 'guest']);
    await server.etcdctl([...root, 'role', 'grant-permission', 'guest', 'readwrite', 'guest/a']);
    await server.etcdctl([...root, 'user', 'add', `guest:${PASSWORD}`]);
    await server.etcdctl([...root, 'user', 'grant-role', 'guest', 'guest']);
    await using backend = etcd(as('guest'));
    await put(backend, 'guest/a');
    const { at } = await backend.query({ key: 'guest/a' }, { signal: never });
    await server.etcdctl([...root, 'user', 'revoke-role', 'guest', 'guest']);
    await expect(
      backend.query({ key: 'guest/a' }, { since: at, wait: 2_000, signal: never }),
    ).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it('does without a token where the cluster asks for none', async () => {
    await using open = await startEtcd();
    await using backend = etcd({ hosts: open.address, username: 'locker', password: PASSWORD });
    expect(await put(backend, 'mine/a')).toMatchObject({ ok: true });
  });
});
