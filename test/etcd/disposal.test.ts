import { getEventListeners } from 'node:events';
import { Etcd3 } from 'etcd3';
import { TcpProxy } from 'holdfast/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { etcd } from '../../src/backends/etcd/index.ts';
import { slowed } from '../busy.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { never, put, socketCount, uniqueName, until } from './support.ts';

const timerCount = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('disposal', () => {
  let server: EtcdServer;

  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it('ends what is under way with `stopped`, and leaves no socket, timer, watch or stream', async () => {
    await using own = await startEtcd();
    const watches = () => own.metric('etcd_debugging_mvcc_watcher_total');
    await watches();
    await until('the request for the metric to end', () => socketCount() === 0);
    const timers = timerCount();
    const backend = etcd({ hosts: own.address });
    const session = await backend.openSession({ name: 'test', ttl: 5_000, lockDelay: 0 }, never);
    await backend.renewSession(session.id, never);
    const { at } = await backend.query({ prefix: '' }, { signal: never });
    const waiting = backend.query({ prefix: 'none' }, { since: at, signal: never });
    await until('the watch', async () => (await watches()) === 1);
    // A frozen server answers to nothing, not even to the end of a connection.
    await own.kill('SIGSTOP');
    const pending = [waiting, put(backend, 'a'), backend.renewSession(session.id, never)];
    const outcomes = Promise.allSettled(pending);
    await backend[Symbol.asyncDispose]();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { code: 'stopped' } });
    await until('the sockets to close', () => socketCount() === 0, 1_000);
    expect(timerCount()).toBeLessThanOrEqual(timers);
    for (const call of [
      backend.query({ key: 'a' }, { signal: never }),
      put(backend, 'a'),
      backend.openSession({ name: 'test', ttl: 5_000, lockDelay: 0 }, never),
      backend.renewSession(session.id, never),
      backend.closeSession(session.id, never),
    ]) {
      await expect(call).rejects.toMatchObject({ code: 'stopped' });
    }
  });

  it('leaves no socket nor timer in this process', async () => {
    const [sockets, timers] = [socketCount(), timerCount()];
    for (let n = 0; n < 10; n++) {
      await using backend = etcd({ hosts: server.address });
      await put(backend, 'a');
      await backend.renewSession('abc', never);
      await backend.query({ key: 'a' }, { since: '["999999999"]', signal: never });
    }
    await until('the sockets to close', () => socketCount() <= sockets);
    await until('the timers to end', () => timerCount() <= timers);
  });

  it('ends also while it connects to what does not answer', async () => {
    await using one = await TcpProxy.open(server.address);
    await using other = await TcpProxy.open(server.address);
    for (const proxy of [one, other]) proxy.set({ cut: 'both' });
    const [sockets, timers] = [socketCount(), timerCount()];
    const backend = etcd({ hosts: [one.address, other.address] });
    const outcome = put(backend, 'a').catch((error: unknown) => error);
    await until('it connects', () => socketCount() > sockets);
    await backend[Symbol.asyncDispose]();
    expect(await outcome).toMatchObject({ code: 'stopped' });
    // What was held goes on to the server, ends of connections too.
    for (const proxy of [one, other]) proxy.heal();
    await until('the sockets to close', () => socketCount() <= sockets);
    await until('the timers to end', () => timerCount() <= timers);
  });

  it("does not touch the application's own client", async () => {
    const client = new Etcd3({ hosts: server.address });
    const key = uniqueName();
    const backend = etcd({ client });
    await put(backend, key, 'one');
    const { at } = await backend.query({ key }, { signal: never });
    const waiting = backend.query({ key }, { since: at, signal: never }).catch((error: unknown) => error);
    await backend[Symbol.asyncDispose]();
    expect(await waiting).toMatchObject({ code: 'stopped' });
    expect(await client.get(key).string()).toBe('one');
    client.close();
    await using late = etcd({ client });
    await expect(put(late, key)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('rejects aborted calls that travel together, also before it listens to their signals', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using backend = etcd({ hosts: proxy.address });
    await put(backend, 'a');
    proxy.silence();
    const reason = new Error('enough');
    for (const wait of [0, 1, 30]) {
      const controllers = ['a', 'b', 'c'].map(() => new AbortController());
      const calls = controllers.map(({ signal }, n) =>
        backend.commit({ when: [], then: [{ remove: `together/${n}` }] }, signal),
      );
      const outcomes = Promise.allSettled(calls);
      await new Promise((resolve) => setTimeout(resolve, wait));
      const at = performance.now();
      for (const controller of controllers) controller.abort(reason);
      for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason });
      expect(performance.now() - at).toBeLessThan(slowed(50));
      for (const { signal } of controllers) expect(getEventListeners(signal, 'abort')).toEqual([]);
    }
  });

  it('ends calls that travel together with `stopped`', async () => {
    await using proxy = await TcpProxy.open(server.address);
    const backend = etcd({ hosts: proxy.address });
    await put(backend, 'a');
    proxy.silence();
    const { signal } = new AbortController();
    const remove = (n: number) => backend.commit({ when: [], then: [{ remove: `together/${n}` }] }, signal);
    const sent = Promise.allSettled([remove(0), remove(1)]);
    await new Promise((resolve) => setImmediate(resolve));
    const unsent = Promise.allSettled([remove(2), remove(3)]);
    await backend[Symbol.asyncDispose]();
    for (const outcome of [...(await sent), ...(await unsent)]) {
      expect(outcome).toMatchObject({ reason: { code: 'stopped' } });
    }
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('rejects an aborted call at once, with its reason, and removes the listener', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using backend = etcd({ hosts: proxy.address });
    await put(backend, 'a');
    proxy.silence();
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const calls = [
      backend.commit({ when: [], then: [{ remove: 'a' }] }, signal),
      backend.query({ key: 'a' }, { signal }),
      backend.query({ key: 'a' }, { since: '["1"]', signal }),
      backend.openSession({ name: 'test', ttl: 5_000, lockDelay: 0 }, signal),
      backend.renewSession('abc', signal),
      backend.closeSession('abc', signal),
    ];
    const outcomes = Promise.allSettled(calls);
    await until('the one listener of all', () => listeners === 1);
    const reason = new Error('enough');
    const at = performance.now();
    controller.abort(reason);
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason });
    expect(performance.now() - at).toBeLessThan(slowed(50));
    expect(listeners).toBe(0);
  });
});
