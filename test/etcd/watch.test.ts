import { TcpProxy } from 'holdfast/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { etcd } from '../../src/backends/etcd/index.ts';
import type { Backend, QueryResult, Scope } from '../../src/contract/backend.ts';
import { slowed } from '../busy.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { never, put, textOf, uniqueName, until } from './support.ts';

const MANY = 2_000;

describe('watch', () => {
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

  const watchers = () => server.metric('etcd_debugging_mvcc_watcher_total');
  const streams = () => server.metric('etcd_debugging_mvcc_watch_stream_total');
  const watching = (count: number) =>
    until(`${count} watches`, async () => (await watchers()) === count, 60_000);

  async function wait(scope: Scope, signal = never, from = backend): Promise<QueryResult> {
    const { at } = await from.query(scope, { signal });
    return from.query(scope, { since: at, signal });
  }

  it(`serves ${MANY} waits over one stream, and a change wakes the one that waits for it`, async () => {
    await using proxy = await TcpProxy.open(server.address);
    // On a busy machine so many first reads at once take longer than one request may.
    await using backend = etcd({ hosts: proxy.address, requestTimeout: 60_000 });
    const prefix = uniqueName();
    await put(backend, `${prefix}/0`);
    const before = await streams();
    const woken: number[] = [];
    const waits = Array.from({ length: MANY }, async (_, n) => {
      const { records } = await wait({ key: `${prefix}/${n}` }, never, backend);
      woken.push(n);
      return textOf(records[0]);
    });
    await watching(MANY);
    expect((await streams()) - before).toBe(1);
    expect(proxy.accepted).toBe(1);

    for (const n of [7, 1_999, 0]) {
      const seen = woken.length;
      await put(backend, `${prefix}/${n}`, `value ${n}`);
      await until('a wake', () => woken.length > seen);
      await watching(MANY - woken.length);
      expect(woken.at(-1)).toBe(n);
    }
    expect(woken).toEqual([7, 1_999, 0]);

    const rest = Array.from({ length: MANY }, (_, n) => n).filter((n) => !woken.includes(n));
    await Promise.all(rest.map((n) => put(backend, `${prefix}/${n}`, `value ${n}`)));
    expect(await Promise.all(waits)).toEqual(Array.from({ length: MANY }, (_, n) => `value ${n}`));
    await watching(0);
    await until('the stream to end', async () => (await streams()) === before);
  });

  it('tells who waits for its turn by the event alone, without a read', async () => {
    const prefix = uniqueName();
    await put(backend, `${prefix}/before`);
    await put(backend, `${prefix}/ours`);
    const { records } = await backend.query({ key: `${prefix}/ours` }, { signal: never });
    const [ours] = records;
    const scope = { prefix: `${prefix}/`, youngest: 2, before: (ours?.created ?? 0n) + 1n };
    const { at } = await backend.query(scope, { signal: never });
    const handled = (grpc_method: string) => server.metric('grpc_server_handled_total', { grpc_method });
    const [reads, transactions] = [await handled('Range'), await handled('Txn')];
    const waiting = backend.query(scope, { since: at, signal: never });
    // One look at what is watched, once the watches stand.
    await until('the look', async () => (await handled('Txn')) === transactions + 1);
    await backend.commit({ when: [], then: [{ remove: `${prefix}/before` }] }, never);
    expect((await waiting).records).toEqual([ours]);
    expect(await handled('Txn')).toBe(transactions + 2);
    expect(await handled('Range')).toBe(reads);
    // What else may have happened is read.
    const next = backend.query(scope, { since: (await waiting).at, signal: never });
    await until('the look', async () => (await handled('Range')) === reads + 1);
    await put(backend, `${prefix}/ours`, 'changed');
    expect((await next).records).toMatchObject([{ key: `${prefix}/ours` }]);
    expect(await handled('Range')).toBe(reads + 2);
  });

  it('looks again at a long part of a queue as a whole', async () => {
    const prefix = uniqueName();
    const names = Array.from({ length: 140 }, (_, n) => `${prefix}/${n}`);
    for (const name of names) await put(backend, name);
    const { records: all } = await backend.query({ prefix: `${prefix}/`, oldest: 140 }, { signal: never });
    const scope = { prefix: `${prefix}/`, youngest: 150, before: (all.at(-1)?.created ?? 0n) + 1n };
    const { records, at } = await backend.query(scope, { signal: never });
    expect(records.map(({ key }) => key)).toEqual(names.toReversed());
    const waiting = backend.query(scope, { since: at, signal: never });
    await watching(140);
    await backend.commit({ when: [], then: [{ remove: `${prefix}/70` }] }, never);
    expect((await waiting).records).toHaveLength(139);
  });

  it('leaves nothing of an aborted wait', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const waits = Array.from({ length: 5 }, () => wait({ prefix: uniqueName() }, controller.signal));
    await watching(5);
    const at = performance.now();
    controller.abort(reason);
    for (const result of await Promise.allSettled(waits)) expect(result).toMatchObject({ reason });
    expect(performance.now() - at).toBeLessThan(slowed(50));
    await watching(0);
  });

  it('waits on the one record ahead, and not on the queue', async () => {
    const prefix = uniqueName();
    for (const name of ['a', 'b', 'c']) await put(backend, `${prefix}/${name}`);
    const { records } = await backend.query({ key: `${prefix}/c` }, { signal: never });
    const scope = { prefix, youngest: 1, before: records[0]?.created ?? 0n };
    const ahead = await backend.query(scope, { signal: never });
    expect(ahead.records).toMatchObject([{ key: `${prefix}/b` }]);
    let isWoken = false;
    const waiting = backend.query(scope, { since: ahead.at, signal: never }).finally(() => {
      isWoken = true;
    });
    await watching(1);
    const responses = () => server.metric('etcd_debugging_mvcc_events_total');
    const before = await responses();
    await put(backend, `${prefix}/a`);
    await put(backend, `${prefix}/d`);
    expect(await responses()).toBe(before);
    expect(isWoken).toBe(false);
    await backend.commit({ when: [], then: [{ remove: `${prefix}/b` }] }, never);
    expect(await waiting).toMatchObject({ records: [{ key: `${prefix}/a` }] });
  });

  it('wakes for a compaction of what it would have to see', async () => {
    const key = uniqueName();
    await put(backend, key);
    const { at } = await backend.query({ key }, { signal: never });
    for (let n = 0; n < 5; n++) await put(backend, key, `${n}`);
    const [revision] = await backend.query({ key }, { signal: never }).then(({ records }) => records);
    await server.etcdctl(['compact', String(revision?.revision)]);
    const { records } = await backend.query({ key }, { since: at, signal: never });
    expect(textOf(records[0])).toBe('4');
  });

  it('wakes when the store is behind the position, as after a restore', async () => {
    const key = uniqueName();
    await put(backend, key, 'here');
    const { records } = await backend.query({ key }, { since: '["999999999"]', signal: never });
    expect(textOf(records[0])).toBe('here');
  });

  it('answers at once to what is not a position of its own', async () => {
    const { records } = await backend.query({ key: uniqueName() }, { since: 'elsewhere', signal: never });
    expect(records).toEqual([]);
  });

  it('wakes when its connection breaks, and goes on over a new one', async () => {
    await using proxy = await TcpProxy.open(server.address);
    await using through = etcd({ hosts: proxy.address });
    const key = uniqueName();
    const { at } = await through.query({ key }, { signal: never });
    const cut = through.query({ key }, { since: at, signal: never });
    await watching(1);
    proxy.reset();
    // A wake, or a failure of the read that follows it: the reconnect may take a moment.
    const result = await cut.catch((error: unknown) => error);
    if (result instanceof Error) expect(result).toMatchObject({ code: 'unavailable' });
    else expect(result).toMatchObject({ records: [] });

    const next = async () => {
      const { at } = await through.query({ key }, { signal: never });
      return through.query({ key }, { since: at, signal: never });
    };
    await until('a reconnect', () =>
      through.query({ key }, { signal: never }).then(
        () => true,
        () => false,
      ),
    );
    const waiting = next();
    await watching(1);
    await put(backend, key, 'new');
    expect(textOf((await waiting).records[0])).toBe('new');
  });

  it('is usable within 2 s of a restart of the server', async () => {
    await using own = await startEtcd();
    await using restarted = etcd({ hosts: own.address });
    const key = uniqueName();
    await put(restarted, key, 'kept');
    const { at } = await restarted.query({ key }, { signal: never });
    const waiting = restarted.query({ key }, { since: at, signal: never }).catch((error: unknown) => error);
    await own.kill();
    const result = await waiting;
    if (result instanceof Error) expect(result).toMatchObject({ code: 'unavailable' });
    await expect(restarted.query({ key }, { signal: never })).rejects.toMatchObject({ code: 'unavailable' });
    await own.restart();
    const ready = performance.now();
    await until('an answer', async () => {
      const answer = await restarted.query({ key }, { signal: never }).catch(() => undefined);
      return textOf(answer?.records[0]) === 'kept';
    });
    expect(performance.now() - ready).toBeLessThan(slowed(2_000));
  });
});
