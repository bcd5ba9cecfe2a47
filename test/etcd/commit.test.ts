import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { etcd } from '../../src/backends/etcd/index.ts';
import { RANGE } from '../../src/backends/etcd/request.ts';
import { Transport } from '../../src/backends/etcd/transport.ts';
import type { Backend, CommitResult } from '../../src/contract/backend.ts';
import { SyncError } from '../../src/contract/errors.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { bytes, never, textOf, uniqueName } from './support.ts';

describe('commit', () => {
  let server: EtcdServer;
  let backend: Backend;

  beforeAll(async () => {
    server = await startEtcd();
    backend = etcd({ hosts: server.address });
  });

  afterAll(async () => {
    await backend[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  async function proposalsOf(work: () => Promise<unknown>): Promise<number> {
    const before = await server.proposalsCommitted();
    await work();
    return (await server.proposalsCommitted()) - before;
  }

  it('costs one consensus write to acquire and one to release, and none to renew, to look or to wait', async () => {
    const path = backend.lockPath(uniqueName());
    const session = await backend.openSession({ name: 'test', ttl: 10_000, lockDelay: 0 }, never);
    const key = path + session.id;
    const contender = { put: key, value: bytes('{}'), session: session.id };

    const acquire = () =>
      backend.commit({ when: [{ key, is: 'absent' }], then: [contender], count: path }, never);
    expect(await proposalsOf(async () => expect(await acquire()).toMatchObject({ ok: true, count: 1 }))).toBe(
      1,
    );

    const renewals = async () => {
      for (let n = 0; n < 20; n++) expect(await backend.renewSession(session.id, never)).toBe('renewed');
    };
    expect(await proposalsOf(renewals)).toBe(0);

    const verify = () =>
      backend.commit(
        { when: [{ key, session: session.id }], then: [], read: { prefix: path, oldest: 1 } },
        never,
      );
    expect(
      await proposalsOf(async () => expect(await verify()).toMatchObject({ ok: true, read: [{ key }] })),
    ).toBe(0);

    const wait = async () => {
      const { at } = await backend.query({ prefix: path }, { signal: never });
      await backend.query({ prefix: path }, { since: at, wait: 50, signal: never });
    };
    expect(await proposalsOf(wait)).toBe(0);

    const release = () =>
      backend.commit({ when: [{ key, session: session.id }], then: [{ remove: key }] }, never);
    expect(await proposalsOf(async () => expect(await release()).toMatchObject({ ok: true }))).toBe(1);
    await backend.closeSession(session.id, never);
  });

  it('takes a value of the limit -1 and 0 and refuses +1 without asking the server', async () => {
    const { maxValueBytes } = backend.traits;
    const key = uniqueName();
    for (const size of [maxValueBytes - 1, maxValueBytes]) {
      const value = new Uint8Array(size).fill(7);
      expect(await backend.commit({ when: [], then: [{ put: key, value }] }, never)).toMatchObject({
        ok: true,
      });
      const { records } = await backend.query({ key }, { signal: never });
      expect(records[0]?.value.byteLength).toBe(size);
    }
    const tooLarge = { when: [], then: [{ put: key, value: new Uint8Array(maxValueBytes + 1) }] };
    await expect(backend.commit(tooLarge, never)).rejects.toMatchObject({ code: 'value-too-large' });
  });

  it.each([2, 3])(
    'tells of a request of %i values that is too large for the server as a whole',
    async (count) => {
      const value = new Uint8Array(backend.traits.maxValueBytes);
      const puts = Array.from({ length: count }, () => ({ put: uniqueName(), value }));
      await expect(backend.commit({ when: [], then: puts }, never)).rejects.toMatchObject({
        code: 'value-too-large',
      });
    },
  );

  it.each([
    ['two mutations of one key', { when: [], then: [{ put: 'a', value: bytes('') }, { remove: 'a' }] }],
    ['129 mutations', { when: [], then: Array.from({ length: 129 }, (_, n) => ({ remove: `k${n}` })) }],
    [
      '128 mutations and a read',
      { when: [], then: Array.from({ length: 128 }, (_, n) => ({ remove: `k${n}` })), read: { key: 'a' } },
    ],
    [
      '128 mutations and a count',
      { when: [], then: Array.from({ length: 128 }, (_, n) => ({ remove: `k${n}` })), count: 'a' },
    ],
    [
      '129 conditions',
      { when: Array.from({ length: 129 }, () => ({ key: 'a', is: 'absent' as const })), then: [] },
    ],
  ])('refuses %s before it asks the server', async (_, commit) => {
    await using nowhere = etcd({ hosts: '127.0.0.1:1' });
    await expect(nowhere.commit(commit, never)).rejects.toMatchObject({ code: 'invalid-option' });
  });

  it('takes 128 mutations', async () => {
    const then = Array.from({ length: 128 }, (_, n) => ({ put: `${uniqueName()}/${n}`, value: bytes('x') }));
    expect(await backend.commit({ when: [], then }, never)).toMatchObject({ ok: true });
  });

  it.each(['?', '#', '%2e%2e', '..', 'a//b', '/', '\n', ' ', '👩‍🚀', '\ufeffx', 'x'.repeat(4_096)])(
    'brings the key %j back as it was',
    async (suffix) => {
      const prefix = uniqueName();
      const key = prefix + suffix;
      await backend.commit({ when: [], then: [{ put: key, value: bytes('found') }] }, never);
      const { records } = await backend.query({ prefix }, { signal: never });
      expect(records.map((record) => [record.key, textOf(record)])).toEqual([[key, 'found']]);
      expect(await backend.query({ key }, { signal: never })).toMatchObject({ records: [{ key }] });
    },
  );

  it('marks a record as foreign whose key is not UTF-8', async () => {
    const prefix = uniqueName();
    const client = new Etcd3({ hosts: server.address });
    await client.put(Buffer.concat([Buffer.from(prefix), Buffer.from([0xff])])).value('v');
    client.close();
    const { records } = await backend.query({ prefix }, { signal: never });
    expect(records).toMatchObject([{ foreign: 'its key is not UTF-8' }]);
  });

  it('says conflict, and not session-gone, when a condition fails as well', async () => {
    const key = uniqueName();
    const gone = { put: key, value: bytes(''), session: 'abc' };
    expect(await backend.commit({ when: [], then: [gone] }, never)).toEqual({
      ok: false,
      why: 'session-gone',
    });
    const conflict = { when: [{ key, session: 'abc' }], then: [gone], read: { key } };
    expect(await backend.commit(conflict, never)).toEqual({ ok: false, why: 'conflict', read: [] });
  });

  it('finds nothing before the first revision', async () => {
    await backend.commit({ when: [], then: [{ put: uniqueName(), value: bytes('') }] }, never);
    for (const before of [0n, 1n]) {
      const { records } = await backend.query({ prefix: '', youngest: 1, before }, { signal: never });
      expect(records).toEqual([]);
    }
  });

  it('asks once more where a bounded read ends among records of one commit, and then only', async () => {
    const prefix = `${uniqueName()}/`;
    const contenders = ['b', 'a', 'c'].map((name) => ({ put: prefix + name, value: bytes('') }));
    const sent = vi.spyOn(Transport.prototype, 'send');
    try {
      const read = { prefix, oldest: 2 };
      const result = await backend.commit({ when: [], then: contenders, read }, never);
      expect(namesIn(result)).toEqual(['a', 'b']);
      const all = { prefix, oldest: 3 };
      expect((await backend.query(all, { signal: never })).records.length).toBe(3);
      // The commit and the look after it, and one query.
      expect(sent).toHaveBeenCalledTimes(3);
    } finally {
      sent.mockRestore();
    }
  });

  it('leaves unknown what became of a commit that was applied, where the look after it fails', async () => {
    const prefix = `${uniqueName()}/`;
    const then = ['b', 'a'].map((name) => ({ put: prefix + name, value: bytes('') }));
    const read = { prefix, oldest: 1 };
    const failure = new SyncError('unavailable', 'no', { outcome: 'refused' });
    const { send } = Transport.prototype;
    const sent = vi.spyOn(Transport.prototype, 'send').mockImplementation(function (
      this: Transport,
      request,
      asker,
    ) {
      if (request.path !== RANGE) return send.call(this, request as never, asker as never);
      asker.failed(failure);
      return () => undefined;
    });
    try {
      const applied = backend.commit({ when: [], then, read }, never);
      await expect(applied).rejects.toMatchObject({ code: 'unavailable', outcome: 'unknown' });
      const absent = { key: `${prefix}a`, is: 'absent' } as const;
      const refused = backend.commit({ when: [absent], then, read }, never);
      await expect(refused).rejects.toMatchObject({ code: 'unavailable', outcome: 'refused' });
    } finally {
      sent.mockRestore();
    }
  });

  it('stands in one queue with etcdctl lock', async () => {
    const key = uniqueName();
    const path = backend.lockPath(key);
    const other = server.spawnEtcdctl(['lock', `${key}/.lock`]);
    try {
      await new Promise((resolve) => other.stdout?.once('data', resolve));
      const session = await backend.openSession({ name: 'test', ttl: 10_000, lockDelay: 0 }, never);
      const contender = { put: path + session.id, value: bytes(''), session: session.id };
      const result = await backend.commit(
        { when: [], then: [contender], read: { prefix: path, oldest: 1 } },
        never,
      );
      if (!result.ok || result.read?.[0] === undefined)
        throw new Error('The commit should succeed and read.');
      const holder = result.read[0];
      expect(holder.key).toBe(path + holder.session);
      const scope = { prefix: path, youngest: 1, before: result.revision };
      const { at } = await backend.query(scope, { signal: never });
      const waiting = backend.query(scope, { since: at, signal: never });
      other.kill('SIGTERM');
      expect(await waiting).toMatchObject({ records: [] });
      await backend.closeSession(session.id, never);
    } finally {
      other.kill('SIGKILL');
    }
  });
});

function namesIn(result: CommitResult): string[] {
  if (!('read' in result) || result.read === undefined) throw new Error('The commit should have read.');
  return result.read.map(({ key }) => key.slice(key.lastIndexOf('/') + 1));
}
