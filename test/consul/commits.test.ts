import Consul from 'consul';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consul } from '../../src/backends/consul/index.ts';
import type { Backend, Commit } from '../../src/contract/backend.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { bytes, failure, put, session, signal, uniquePrefix } from './support.ts';

const GONE = '11111111-1111-1111-1111-111111111111';

let server: ConsulServer;
let backend: Backend;

beforeAll(async () => {
  server = await startConsul({ sessionTtlMin: '1s' });
  backend = consul({ addresses: [server.address], sessionTtlMin: 1_000 });
});
afterAll(async () => {
  await backend[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const commit = (parts: Partial<Commit>) => backend.commit({ when: [], then: [], ...parts }, signal());
/** As the server tells it, where `JSON.parse` would round the flags. */
const raw = async (key: string) => (await server.http('GET', `/v1/kv/${key}`)).body.replace(/\s/g, '');

const REPEATS = 10;

/** Writes to the raft log for one run of the work. The server itself adds one now and then, so the work is repeated. */
const writes = async (work: (round: number) => Promise<unknown>): Promise<number> => {
  const before = await server.raftIndex();
  for (let round = 0; round < REPEATS; round++) await work(round);
  return Math.round(((await server.raftIndex()) - before) / REPEATS);
};

describe('writes to the raft log', () => {
  it('one to acquire, one to release, none to read, to renew and to look', async () => {
    const owner = await session(backend);
    const prefix = uniquePrefix();
    const revisions: bigint[] = [];
    const acquire = async (round: number) => {
      const key = `${prefix}${round}`;
      const then = [{ put: key, value: bytes('x'), session: owner }];
      const result = await commit({ when: [{ key, is: 'absent' }], then });
      if (result.ok) revisions.push(result.revision);
    };
    const release = (round: number) => {
      const key = `${prefix}${round}`;
      return commit({ when: [{ key, revision: revisions[round] ?? 0n }], then: [{ remove: key }] });
    };
    expect(await writes(acquire)).toBe(1);
    const key = `${prefix}0`;
    const when = [
      { key, revision: revisions[0] ?? 0n },
      { key, session: owner },
    ];
    const since = '1:-';
    expect(await writes(() => backend.renewSession(owner, signal()))).toBe(0);
    expect(await writes(() => backend.query({ key }, { signal: signal() }))).toBe(0);
    expect(await writes(() => backend.query({ key }, { since, wait: 50, signal: signal() }))).toBe(0);
    expect(await writes(() => commit({ when, read: { key } }))).toBe(0);
    expect(await writes(() => commit({ when, read: { prefix } }))).toBe(0);
    expect(await writes(() => commit({ when: [{ key, is: 'unowned' }], read: { key } }))).toBe(0);
    expect(await writes(release)).toBe(1);
    expect((await backend.query({ prefix }, { signal: signal() })).records).toEqual([]);
    await backend.closeSession(owner, signal());
  });
});

describe('results', () => {
  it('tells apart a session that is gone, a lock that is held, and a lock-delay', async () => {
    const [owner, other, delaying] = [
      await session(backend),
      await session(backend),
      await session(backend, 60_000),
    ];
    const [held, delayed] = [`${uniquePrefix()}held`, `${uniquePrefix()}"due to lock delay`];
    const take = (key: string, id: string) =>
      commit({ then: [{ put: key, value: bytes(id), session: id }], when: [{ key, is: 'absent' }] });
    expect(await take(held, owner)).toMatchObject({ ok: true });
    expect(await take(held, other)).toEqual({ ok: false, why: 'conflict' });
    // Both could be said here.
    expect(await take(held, GONE)).toEqual({ ok: false, why: 'session-gone' });
    expect(await take('free', 'no-session-id')).toEqual({ ok: false, why: 'session-gone' });
    const unconditional = { put: held, value: bytes(''), session: other };
    expect(await commit({ then: [unconditional] })).toEqual({ ok: false, why: 'conflict' });
    expect(await take(delayed, delaying)).toMatchObject({ ok: true });
    expect(await take(delayed, other)).toEqual({ ok: false, why: 'conflict' });
    await backend.closeSession(delaying, signal());
    expect(await take(delayed, other)).toEqual({ ok: false, why: 'delayed', retryAfter: 1_000 });
    for (const id of [owner, other]) await backend.closeSession(id, signal());
  });

  it('a removal on condition fails when the record is gone', async () => {
    const key = `${uniquePrefix()}a`;
    const revision = await put(backend, key, '1');
    const remove: Commit = { when: [{ key, revision }], then: [{ remove: key }] };
    expect(await commit(remove)).toMatchObject({ ok: true });
    expect(await commit(remove)).toEqual({ ok: false, why: 'conflict' });
  });

  it('an empty session id matches no record without owner', async () => {
    const key = `${uniquePrefix()}a`;
    await put(backend, key, '1');
    expect(await commit({ when: [{ key, session: '' }] })).toEqual({ ok: false, why: 'conflict' });
    await commit({ then: [{ remove: key }] });
  });

  it('`unowned` takes a record that was released, not one of its own', async () => {
    const owner = await session(backend);
    const key = `${uniquePrefix()}a`;
    const take: Commit = {
      when: [{ key, is: 'unowned' }],
      then: [{ put: key, value: bytes('x'), session: owner }],
    };
    await server.http('PUT', `/v1/kv/${key}?flags=3304740253564472344`, 'released');
    expect(await commit(take)).toMatchObject({ ok: true });
    expect(await commit(take)).toEqual({ ok: false, why: 'conflict' });
    await backend.closeSession(owner, signal());
  });

  it('reads a key that is absent in the same step', async () => {
    const key = `${uniquePrefix()}a`;
    expect(await commit({ read: { key } })).toMatchObject({ ok: true, read: [] });
    expect(await commit({ then: [{ remove: key }], read: { key } })).toMatchObject({ ok: true, read: [] });
    const other = { put: `${key}b`, value: bytes('1') };
    expect(await commit({ then: [other], read: { key } })).toMatchObject({ ok: true, read: [] });
    expect(await commit({ then: [{ remove: `${key}b` }], read: { prefix: key } })).toMatchObject({
      read: [],
    });
  });

  it('a commit without mutations tells the revision of the store, also of what others wrote elsewhere', async () => {
    const key = `${uniquePrefix()}a`;
    await using other = consul({ addresses: [server.address] });
    const revision = await put(other, key, '1');
    const result = await commit({ when: [{ key: `${key}b`, is: 'absent' }] });
    expect(result.ok && result.revision >= revision).toBe(true);
    await commit({ then: [{ remove: key }] });
  });
});

describe('flags', () => {
  it('marks locks exactly, and names what is foreign', async () => {
    const owner = await session(backend);
    const key = `${uniquePrefix()}a`;
    await put(backend, key, 'v', owner);
    expect(await raw(key)).toContain('"Flags":3304740253564472344');
    const foreign = async () => (await backend.query({ key }, { signal: signal() })).records[0]?.foreign;
    expect(await foreign()).toBeUndefined();
    for (const [flags, name] of [
      ['0', 'plain value'],
      ['16210313421097356768', 'semaphore'],
      ['2837033986114203673', 'dsync'],
      ['3304740253564472345', '0x2ddccbc058a50c19'],
      ['18446744073709551615', '0xffffffffffffffff'],
    ] as const) {
      await server.http('PUT', `/v1/kv/${key}?flags=${flags}`, `other ${flags}`);
      expect(await foreign()).toContain(name);
    }
    await backend.closeSession(owner, signal());
  });

  it('takes other flags for a lock when told so, up to the largest', async () => {
    const lockFlags = 2n ** 64n - 1n;
    await using other = consul({ addresses: [server.address], sessionTtlMin: 1_000, lockFlags });
    const owner = await session(other);
    const key = `${uniquePrefix()}a`;
    await put(other, key, 'v', owner);
    expect(await raw(key)).toContain('"Flags":18446744073709551615');
    expect((await other.query({ key }, { signal: signal() })).records[0]?.foreign).toBeUndefined();
    await other.closeSession(owner, signal());
  });
});

describe('limits', () => {
  it('takes values up to the limit beside the longest keys, and refuses one byte more before any I/O', async () => {
    const owner = await session(backend);
    const limit = backend.traits.maxValueBytes;
    const key = uniquePrefix().padEnd(4_096, '"');
    const acquire = (length: number) =>
      commit({
        when: [{ key, is: 'unowned' }],
        then: [{ put: key, value: new Uint8Array(length).fill(0xff), session: owner }],
        read: { key },
      });
    // JSON doubles each of these quotes: no other 4 KB key takes more room.
    for (const length of [limit - 1, limit]) {
      const at = uniquePrefix().padEnd(1_024, 'k');
      const then = [{ put: at, value: new Uint8Array(length).fill(0xff), session: owner }];
      expect(await commit({ when: [{ key: at, is: 'absent' }], then })).toMatchObject({ ok: true });
      await commit({ then: [{ remove: at }] });
    }
    expect(await writes(() => failure(acquire(limit + 1), 'value-too-large'))).toBe(0);
    expect(await writes(() => failure(acquire(limit), 'value-too-large'))).toBe(0);
    expect(await acquire(limit - 20_000)).toMatchObject({ ok: true });
    await backend.closeSession(owner, signal());
  });

  it('refuses two mutations for one key, more operations than the limit, and too much altogether', async () => {
    const key = uniquePrefix();
    const many = (count: number, size = 0) =>
      Array.from({ length: count }, (_, i) => ({ put: `${key}${i}`, value: new Uint8Array(size) }));
    const refusals = async () => {
      await failure(commit({ then: [{ remove: `${key}a` }, { remove: `${key}a` }] }), 'invalid-option');
      await failure(commit({ then: many(63) }), 'invalid-option');
      await failure(commit({ then: many(62), when: [{ key: `${key}0`, is: 'absent' }] }), 'invalid-option');
      await failure(commit({ then: many(2, 200_000) }), 'value-too-large');
    };
    expect(await writes(refusals)).toBe(0);
    expect(await commit({ then: many(62) })).toMatchObject({ ok: true });
    await commit({ then: many(62).map(({ put: remove }) => ({ remove })) });
  });
});

describe('sessions', () => {
  const options = { name: 'n', ttl: 10_500, lockDelay: 0 };
  const shown = async (id: string) =>
    JSON.parse((await server.http('GET', `/v1/session/info/${id}`)).body)[0];

  it('has the TTL alone decide, without checks, without lock-delay, and deletes', async () => {
    const { id, ttl } = await backend.openSession({ ...options, ttl: 10_499.5 }, signal());
    expect(ttl).toBe(10_500);
    expect(await shown(id)).toMatchObject({
      Name: 'n',
      TTL: '10500ms',
      LockDelay: 0,
      Behavior: 'delete',
      NodeChecks: [],
    });
    await backend.closeSession(id, signal());
    const delayed = await backend.openSession({ ...options, lockDelay: 2_500 }, signal());
    expect(await shown(delayed.id)).toMatchObject({ LockDelay: 2_500_000_000 });
    await backend.closeSession(delayed.id, signal());
  });

  it('takes checks, and names the option when the node has no such check', async () => {
    const sessionTtlMin = 1_000;
    await using checked = consul({ addresses: [server.address], sessionTtlMin, checks: ['serfHealth'] });
    const { id } = await checked.openSession(options, signal());
    expect(await shown(id)).toMatchObject({ NodeChecks: ['serfHealth'] });
    await checked.closeSession(id, signal());
    await using wrong = consul({ addresses: [server.address], sessionTtlMin, checks: ['nope'] });
    expect((await failure(wrong.openSession(options, signal()), 'invalid-option')).message).toContain(
      'checks',
    );
  });

  it('refuses what the server would refuse, and says so when the server is stricter', async () => {
    for (const ttl of [999, Number.NaN, 86_400_001]) {
      await failure(backend.openSession({ ...options, ttl }, signal()), 'invalid-option');
    }
    for (const lockDelay of [-1, 60_001, Number.NaN]) {
      await failure(backend.openSession({ ...options, lockDelay }, signal()), 'invalid-option');
    }
    await using hopeful = consul({ addresses: [server.address], sessionTtlMin: 1 });
    const refused = hopeful.openSession({ ...options, ttl: 500 }, signal());
    expect((await failure(refused, 'invalid-option')).message).toContain('sessionTtlMin');
  });

  it('an id that is none gets into no path', async () => {
    for (const id of ['', '../../kv/a', `${GONE}/../x`, 'x?y']) {
      expect(await backend.renewSession(id, signal())).toBe('gone');
      await backend.closeSession(id, signal());
    }
    expect(await backend.renewSession(GONE, signal())).toBe('gone');
  });
});

describe('a ready-made client', () => {
  it('lends its address, and is left as it was', async () => {
    const client = new Consul({ host: server.host, port: server.port, defaults: { dc: 'dc1' } });
    const key = `${uniquePrefix()}a`;
    {
      await using lent = consul({ client, sessionTtlMin: 1_000 });
      const owner = await session(lent);
      await put(lent, key, 'v', owner);
      expect(await lent.renewSession(owner, signal())).toBe('renewed');
      await lent.closeSession(owner, signal());
    }
    expect(await client.kv.get(key)).toBeUndefined();
    client.destroy();
  });
});
