import { TcpProxy } from 'holdfast/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { etcd } from '../../src/backends/etcd/index.ts';
import { isSyncError } from '../../src/contract/errors.ts';
import { slowed } from '../busy.ts';
import { type EtcdServer, startEtcd, startEtcdCluster } from '../servers/etcd.ts';
import { never, put, textOf, uniqueName, until } from './support.ts';

/** Nothing listens there. */
const DEAD = '127.0.0.1:1';

describe('several hosts', () => {
  let server: EtcdServer;

  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it('are tried in turn within one call when there is no connection', async () => {
    // Which one comes first is left to chance.
    for (let n = 0; n < 8; n++) {
      await using backend = etcd({ hosts: [DEAD, server.address] });
      const key = uniqueName();
      expect(
        await backend.commit({ when: [], then: [{ put: key, value: new Uint8Array() }] }, never),
      ).toMatchObject({
        ok: true,
      });
    }
  });

  it('carry the streams as well, from the first call on', async () => {
    for (let n = 0; n < 8; n++) {
      await using backend = etcd({ hosts: [DEAD, server.address] });
      expect(await backend.renewSession('abc', never)).toBe('gone');
      const query = { since: '["999999999"]', signal: never };
      expect(await backend.query({ key: uniqueName() }, query)).toMatchObject({ records: [] });
    }
  });

  it('are left when they take the connection and say nothing', async () => {
    for (let n = 0; n < 6; n++) {
      await using proxy = await TcpProxy.open(server.address);
      await using backend = etcd({ hosts: [proxy.address, server.address], requestTimeout: 1_000 });
      const key = uniqueName();
      await put(backend, key);
      const usedProxy = proxy.open > 0;
      proxy.silence();
      const outcome = await put(backend, key, 'two').catch((error: unknown) => error);
      // A write that may have arrived is not sent again.
      if (usedProxy) expect(outcome).toMatchObject({ code: 'unavailable' });
      else expect(outcome).toMatchObject({ ok: true });
      expect(await put(backend, key, 'three')).toMatchObject({ ok: true });
    }
  });

  it('all down make one readable error, soon', async () => {
    await using backend = etcd({ hosts: [DEAD, '127.0.0.1:2'] });
    const at = performance.now();
    const error = await put(backend, 'a').catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'unavailable' });
    expect(String(error)).toMatch(
      /etcd at 127\.0\.0\.1:[12] was not reached \(connect ECONNREFUSED .*\): is it running/,
    );
    expect(performance.now() - at).toBeLessThan(slowed(1_000));
  });

  it('that all were down are found again', async () => {
    await using own = await startEtcd();
    await using backend = etcd({ hosts: [own.address, DEAD] });
    await put(backend, 'a', 'kept');
    await own.kill();
    for (let n = 0; n < 20; n++)
      await expect(put(backend, 'a')).rejects.toMatchObject({ code: 'unavailable' });
    await own.restart();
    const { records } = await backend.query({ key: 'a' }, { signal: never });
    expect(textOf(records[0])).toBe('kept');
  });

  it('of a cluster take over for a member that dies, a wait included', async () => {
    const members = await startEtcdCluster(3);
    try {
      await using backend = etcd({ hosts: members.map(({ address }) => address), requestTimeout: 3_000 });
      const session = await backend.openSession({ name: 'test', ttl: 20_000, lockDelay: 0 }, never);
      expect(await backend.renewSession(session.id, never)).toBe('renewed');
      const key = uniqueName();
      const { at } = await backend.query({ key }, { signal: never });
      let woken = 0;
      const waiting = (async () => {
        let since = at;
        for (;;) {
          const result = await backend.query({ key }, { since, signal: never }).catch((error: unknown) => {
            // With the test: nothing else could end this loop any more.
            if (isSyncError(error, 'stopped')) return 'over' as const;
            return undefined;
          });
          if (result === 'over') return result;
          woken += 1;
          if (result?.records[0] !== undefined) return textOf(result.records[0]);
          since = result?.at ?? since;
        }
      })();
      const counts = async () =>
        Promise.all(members.map((member) => member.metric('etcd_debugging_mvcc_watcher_total')));
      await until('the watch', async () => (await counts()).includes(1));
      const used = members[(await counts()).indexOf(1)];
      const killed = performance.now();
      await used?.kill();
      await until('a write', async () => {
        const result = await put(backend, key, 'after').catch(() => undefined);
        return result !== undefined;
      });
      expect(await waiting).toBe('after');
      const seconds = (performance.now() - killed) / 1_000;
      await until('a renewal', async () => {
        const result = await backend.renewSession(session.id, never).catch(() => undefined);
        return result === 'renewed';
      });
      // Waiting for the failover must not become a busy loop.
      expect(woken / Math.max(2, seconds)).toBeLessThan(25);
    } finally {
      await Promise.all(members.map((member) => member[Symbol.asyncDispose]()));
    }
  });
});
