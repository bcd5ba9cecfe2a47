import { setMaxListeners } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consul } from '../../src/backends/consul/index.ts';
import type { Backend } from '../../src/contract/backend.ts';
import { type ConsulServer, startConsul } from '../servers/consul.ts';
import { failure, put, session, signal, uniquePrefix, until } from './support.ts';

const RULES = 'session_prefix "" { policy = "write" } key_prefix "test/" { policy = "write" }';

let server: ConsulServer;
let token: string;
let accessor: string;

beforeAll(async () => {
  server = await startConsul({ acl: true });
  await server.http('PUT', '/v1/acl/policy', JSON.stringify({ Name: 'app', Rules: RULES }));
  const made = await server.http('PUT', '/v1/acl/token', JSON.stringify({ Policies: [{ Name: 'app' }] }));
  ({ SecretID: token, AccessorID: accessor } = JSON.parse(made.body));
});
afterAll(() => server[Symbol.asyncDispose]());

const calls = (backend: Backend): Record<string, () => Promise<unknown>> => ({
  query: () => backend.query({ key: 'elsewhere' }, { signal: signal() }),
  wait: () => backend.query({ key: 'elsewhere' }, { since: '1:-', wait: 20_000, signal: signal() }),
  put: () => backend.commit({ when: [], then: [{ put: 'elsewhere', value: new Uint8Array() }] }, signal()),
  look: () => backend.commit({ when: [], then: [], read: { key: 'elsewhere' } }, signal()),
});

describe('ACLs', () => {
  it('a key and a session policy suffice, and what they do not grant is permission-denied', async () => {
    await using backend = consul({ addresses: [server.address], token });
    const key = `${uniquePrefix()}a`;
    const owner = await session(backend);
    await put(backend, key, 'v', owner);
    expect(await backend.renewSession(owner, signal())).toBe('renewed');
    await backend.closeSession(owner, signal());
    for (const [name, call] of Object.entries(calls(backend))) {
      const error = await failure(call(), 'permission-denied');
      expect(error.message, name).not.toContain(token);
    }
  });

  it.each(['none', '22222222-2222-2222-2222-222222222222'])('token %s', async (wrong) => {
    await using backend = consul({ addresses: [server.address], ...(wrong !== 'none' && { token: wrong }) });
    const open = backend.openSession({ name: 'n', ttl: 10_000, lockDelay: 0 }, signal());
    expect((await failure(open, 'permission-denied')).message).not.toContain(wrong);
    for (const call of Object.values(calls(backend))) await failure(call(), 'permission-denied');
  });

  it('a key that may no longer be read is not taken for a key that is gone', async () => {
    await using backend = consul({ addresses: [server.address], token, maxConnections: 8 });
    const prefix = uniquePrefix();
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const names = Array.from({ length: 12 }, (_, i) => `${prefix}${i}`);
    for (const key of names) await put(backend, key, 'v');
    const outcomes: unknown[] = [];
    for (const key of names) {
      const { at } = await backend.query({ key }, { signal: signal() });
      backend.query({ key }, { since: at, wait: 60_000, signal: stop.signal }).then(
        ({ records }) => outcomes.push(records),
        (error: unknown) => outcomes.push(error),
      );
    }
    await server.http('DELETE', `/v1/acl/token/${accessor}`);
    // Wakes the blocked queries, which then show what this token may see.
    for (const key of names) await server.http('PUT', `/v1/kv/${key}`, 'new');
    await until('every outcome', () => outcomes.length === names.length);
    for (const outcome of outcomes) expect(outcome).not.toEqual([]);
    stop.abort();
  });
});
