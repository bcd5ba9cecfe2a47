import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { TcpProxy } from 'holdfast/testing';
import { describe, expect, inject, it } from 'vitest';
import { consul } from '../../src/backends/consul/index.ts';
import type { Backend, Cursor } from '../../src/contract/backend.ts';
import { isSyncError } from '../../src/contract/errors.ts';
import { slowed } from '../busy.ts';
import { ClientSockets } from '../real/client-sockets.ts';
import { startConsul } from '../servers/consul.ts';
import { blockingQueries, bytes, failure, put, session, signal, uniquePrefix, until } from './support.ts';

const address = inject('consulAddress');

/** For so many calls at a time that Node would take their listeners for a leak. */
function manyCalls(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** Fills many keys, as locks of one session. */
async function fill(backend: Backend, keys: readonly string[], owner?: string): Promise<void> {
  for (let i = 0; i < keys.length; i += 60) {
    const then = keys.slice(i, i + 60).map((key) => ({
      put: key,
      value: bytes(`held ${key}`),
      ...(owner !== undefined && { session: owner }),
    }));
    await backend.commit({ when: [], then }, signal());
  }
}

async function clear(backend: Backend, keys: readonly string[]): Promise<void> {
  for (let i = 0; i < keys.length; i += 60) {
    await backend.commit({ when: [], then: keys.slice(i, i + 60).map((remove) => ({ remove })) }, signal());
  }
}

describe('many waiters', () => {
  it('wait for 1,000 keys over few connections, and each change wakes its own', async () => {
    await using proxy = await TcpProxy.open(address);
    using sockets = new ClientSockets(proxy.address);
    await using watcher = consul({ addresses: [proxy.address], sessionTtlMin: 1_000 });
    await using actor = consul({ addresses: [address], sessionTtlMin: 1_000 });
    const prefix = uniquePrefix();
    const keys = Array.from({ length: 1_000 }, (_, i) => `${prefix}${i % 2 ? 'held' : 'wanted'}/lock-${i}`);
    const owner = await session(actor);
    await fill(actor, keys, owner);

    const stop = manyCalls();
    const woken = new Map<string, number>();
    const ended: unknown[] = [];
    const cursors = await Promise.all(
      keys.map(async (key): Promise<[string, Cursor]> => {
        const { at } = await watcher.query({ key }, { signal: signal() });
        return [key, at];
      }),
    );
    const wait = (key: string, since: Cursor) => {
      watcher.query({ key }, { since, wait: 120_000, signal: stop.signal }).then(
        () => woken.set(key, performance.now()),
        (error: unknown) => ended.push(error),
      );
    };
    for (const [key, at] of cursors) wait(key, at);
    await until('blocked queries', () => proxy.open > 30);

    const changed = keys.filter((_, i) => i % 25 === 3);
    const latencies: number[] = [];
    for (const [i, key] of changed.entries()) {
      const at = performance.now();
      if (i % 2 === 0) await actor.commit({ when: [], then: [{ remove: key }] }, signal());
      else await put(actor, key, 'changed');
      await until(`the wake for ${key}`, () => woken.has(key), 2_000);
      latencies.push((woken.get(key) ?? 0) - at);
    }
    expect([...woken.keys()].sort(), 'nobody else is woken').toEqual([...changed].sort());
    expect(ended).toEqual([]);
    expect(sockets.most).toBeLessThanOrEqual(64);
    latencies.sort((a, b) => a - b);
    console.info(
      `1,000 waiters: at most ${sockets.most} connections; wake median ${latencies[20]?.toFixed(1)} ms, worst ${latencies.at(-1)?.toFixed(1)} ms`,
    );

    const reason = new Error('given up');
    stop.abort(reason);
    await until('every rejection', () => ended.length === keys.length - changed.length, 1_000);
    expect(new Set(ended)).toEqual(new Set([reason]));
    await clear(actor, keys);
    await actor.closeSession(owner, signal());
  });

  it('waits that are given up do not pile up at the server, which would refuse the 201st connection', async () => {
    // A server of its own: the limit is for all that this machine opens.
    await using server = await startConsul();
    await using proxy = await TcpProxy.open(server.address);
    using blocking = blockingQueries(proxy.address);
    await using backend = consul({ addresses: [proxy.address] });
    const prefix = uniquePrefix();
    for (let round = 0; round < 10; round++) {
      const stop = manyCalls();
      const before = blocking.sent;
      const keys = Array.from({ length: 60 }, (_, i) => `${prefix}${round}/${i}`);
      await Promise.all(keys.map((key) => put(backend, key, 'quiet')));
      const waits = keys.map(async (key) => {
        const { at } = await backend.query({ key }, { signal: stop.signal });
        return backend.query({ key }, { since: at, wait: 60_000, signal: stop.signal });
      });
      const ended = Promise.allSettled(waits);
      // From the third round on, those of the rounds before take all the room: then there are only plain reads.
      if (round < 2) await until('blocked queries', () => blocking.sent - before >= 15);
      else await sleep(100);
      stop.abort(new Error('given up'));
      await ended;
      // A client that hung up would leave its connection behind in the server, and be refused before long.
      expect((await server.http('GET', '/v1/status/leader')).status).toBe(200);
      expect(await put(backend, `${prefix}works`, String(round))).toBeGreaterThan(0n);
    }
  });

  it('a change between the read and the wait is told, also to who joins a query that pauses', async () => {
    // So few connections that the keys share one query.
    await using watcher = consul({ addresses: [address], maxConnections: 8 });
    await using actor = consul({ addresses: [address] });
    const prefix = uniquePrefix();
    const [a, b, c] = [`${prefix}a`, `${prefix}b`, `${prefix}c`];
    for (const key of [a, b, c]) await put(actor, key, '0');
    const stop = manyCalls();
    const others = [a, c].map(async (key) => {
      let { at } = await watcher.query({ key }, { signal: signal() });
      while (!stop.signal.aborted) {
        const next = watcher.query({ key }, { since: at, wait: 60_000, signal: stop.signal });
        const result = await next.catch((error: unknown) => {
          // Once the watcher is disposed, every query rejects at once.
          if (stop.signal.aborted || isSyncError(error, 'stopped')) return undefined;
          throw error;
        });
        if (result === undefined) return;
        at = result.at;
      }
    });
    await sleep(300);
    for (let round = 0; round < 2; round++) {
      const { at } = await watcher.query({ key: b }, { signal: signal() });
      for (let noise = 0; noise < 3; noise++) await put(actor, `${prefix}noise`, `${round}/${noise}`);
      await put(actor, b, `new ${round}`);
      const start = performance.now();
      const { records } = await watcher.query({ key: b }, { since: at, wait: 30_000, signal: signal() });
      expect(records[0]?.value).toEqual(bytes(`new ${round}`));
      expect(performance.now() - start).toBeLessThan(slowed(3_000));
    }
    stop.abort(new Error('enough'));
    await Promise.all(others);
    await clear(actor, [a, b, c, `${prefix}noise`]);
  });

  it('commits and renewals go through while every watch connection blocks', async () => {
    await using backend = consul({ addresses: [address], sessionTtlMin: 1_000, maxConnections: 8 });
    const prefix = uniquePrefix();
    const stop = manyCalls();
    const owner = await session(backend);
    const keys = Array.from({ length: 40 }, (_, i) => `${prefix}${i}`);
    const blocked = keys.map((key) =>
      backend.query({ key }, { since: '999999:-', wait: 60_000, signal: stop.signal }),
    );
    for (let i = 0; i < 20; i++) {
      expect(await backend.renewSession(owner, signal())).toBe('renewed');
      await put(backend, `${prefix}other`, String(i));
    }
    stop.abort(new Error('enough'));
    for (const each of blocked) await expect(each).rejects.toThrow('enough');
    await backend.commit({ when: [], then: [{ remove: `${prefix}other` }] }, signal());
    await backend.closeSession(owner, signal());
  });

  it('churn of joining and leaving misses no change', async () => {
    await using watcher = consul({ addresses: [address], maxConnections: 10 });
    await using actor = consul({ addresses: [address] });
    const prefix = uniquePrefix();
    const keys = Array.from({ length: 60 }, (_, i) => `${prefix}${i}`);
    await fill(actor, keys);
    const last = new Map<string, string>();
    const seen = new Map<string, string>();
    const stop = manyCalls();
    const follow = async (key: string) => {
      let { at, records } = await watcher.query({ key }, { signal: stop.signal });
      for (;;) {
        seen.set(key, new TextDecoder().decode(records[0]?.value));
        ({ at, records } = await watcher.query({ key }, { since: at, wait: 60_000, signal: stop.signal }));
      }
    };
    const loops = keys.map((key) => follow(key).catch(() => {}));
    for (let i = 0; i < 400; i++) {
      const key = keys[(i * 17) % keys.length] ?? '';
      last.set(key, `value ${i}`);
      await put(actor, key, `value ${i}`);
    }
    await until('the last value of every key', () =>
      [...last].every(([key, text]) => seen.get(key) === text),
    );
    stop.abort();
    await Promise.all(loops);
    await clear(actor, keys);
  });

  it('a listing that is too large is not listed: its keys are read one by one', async () => {
    await using watcher = consul({ addresses: [address], maxConnections: 8 });
    await using actor = consul({ addresses: [address] });
    const prefix = uniquePrefix();
    const ballast = Array.from({ length: 16 }, (_, i) => `${prefix}ballast-${i}`);
    for (const key of ballast) {
      await actor.commit({ when: [], then: [{ put: key, value: new Uint8Array(370_000) }] }, signal());
    }
    const keys = Array.from({ length: 30 }, (_, i) => `${prefix}b${String.fromCharCode(65 + i)}`);
    await fill(actor, keys);
    const waits = await Promise.all(
      keys.map(async (key) => {
        const { at } = await watcher.query({ key }, { signal: signal() });
        return watcher.query.bind(watcher, { key }, { since: at, wait: 60_000, signal: signal() });
      }),
    );
    const blocked = waits.map((wait) => wait());
    const owner = await session(actor);
    await fill(actor, keys, owner);
    for (const each of blocked) expect((await each).records[0]?.session).toBe(owner);
    await clear(actor, [...keys, ...ballast]);
    await actor.closeSession(owner, signal());
  });
});

describe('failures while blocked', () => {
  it('reject the waiters as unavailable, and waiting again works', async () => {
    await using proxy = await TcpProxy.open(address);
    await using watcher = consul({ addresses: [proxy.address] });
    const key = `${uniquePrefix()}a`;
    const { at } = await watcher.query({ key }, { signal: signal() });
    const before = proxy.open;
    const blocked = watcher.query({ key }, { since: at, wait: 60_000, signal: signal() });
    await until('the query to block', () => proxy.open > before);
    proxy.reset();
    await failure(blocked, 'unavailable');
    const again = watcher.query({ key }, { since: at, wait: 60_000, signal: signal() });
    await using actor = consul({ addresses: [address] });
    await put(actor, key, 'new');
    expect((await again).records).toHaveLength(1);
    await actor.commit({ when: [], then: [{ remove: key }] }, signal());
  });
});
