import { getEventListeners, once, setMaxListeners } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { consul } from 'holdfast/consul';
import { expect, inject, test } from 'vitest';
import { slowed } from '../busy.ts';
import { live, uniqueKey } from '../scenarios/world.ts';
import { failure, fakeHttp, until } from './support.ts';

const put = (key: string) => ({ when: [], then: [{ put: key, value: new Uint8Array([1]) }] });

test('a request that carries several commits is cut off when the last who waits for it gives up', async () => {
  const server = createServer(() => {
    // Never answers.
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const backend = consul({ addresses: [`127.0.0.1:${(server.address() as AddressInfo).port}`] });
  const givers = [new AbortController(), new AbortController()];
  const arrived = once(server, 'request') as Promise<[IncomingMessage]>;
  const calls = givers.map(({ signal }, number) => backend.commit(put(`k${number}`), signal));
  const settled = Promise.allSettled(calls);
  const [{ socket }] = await arrived;
  givers[0]?.abort(new Error('gave up'));
  await Promise.allSettled(calls.slice(0, 1));
  expect(socket.destroyed).toBe(false);
  const closed = once(socket, 'close');
  givers[1]?.abort(new Error('gave up'));
  const begun = performance.now();
  await closed;
  expect(performance.now() - begun).toBeLessThan(slowed(1_000));
  const reason = expect.objectContaining({ message: 'gave up' });
  expect(await settled).toEqual(givers.map(() => ({ status: 'rejected', reason })));
  await backend[Symbol.asyncDispose]();
  server.close();
});

test('a commit that is given up before its request is sent is not sent with the others', async () => {
  await using backend = consul({ addresses: [inject('consulAddress')] });
  const prefix = uniqueKey('given-up');
  const giver = new AbortController();
  const calls = ['a', 'b', 'c'].map((name) =>
    backend.commit(put(`${prefix}/${name}`), name === 'b' ? giver.signal : live),
  );
  giver.abort(new Error('gave up'));
  const results = await Promise.allSettled(calls);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  const { records } = await backend.query({ prefix: `${prefix}/` }, { signal: live });
  expect(records.map(({ key }) => key)).toEqual([`${prefix}/a`, `${prefix}/c`]);
});

test('a commit that is issued after all others of its turn were given up is sent', async () => {
  await using backend = consul({ addresses: [inject('consulAddress')] });
  const prefix = uniqueKey('given-up');
  const giver = new AbortController();
  const given = backend.commit(put(`${prefix}/a`), giver.signal);
  giver.abort(new Error('gave up'));
  const issued = backend.commit(put(`${prefix}/b`), live);
  await expect(given).rejects.toThrow('gave up');
  expect(await issued).toMatchObject({ ok: true });
});

/** Answers each request for a transaction as it is told, and keeps what was asked for. */
async function scripted(...answers: readonly ((response: ServerResponse, body: string) => void)[]) {
  const bodies: string[] = [];
  const server = await fakeHttp((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => answers[bodies.push(body) - 1]?.(response, body));
  });
  return { server, bodies, backend: consul({ addresses: [server.address] }) };
}

const say = (status: number, body: object) => (response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
};
const refuse = (OpIndex: number) =>
  say(409, { Results: null, Errors: [{ OpIndex, What: 'key "k" already exists' }] });
const pair = (Key: string) => ({
  KV: { LockIndex: 0, Key, Flags: 0, Value: null, CreateIndex: 7, ModifyIndex: 8 },
});
const take = (key: string) => ({ ...put(key), when: [{ key, is: 'absent' }] }) as const;

test('a lone commit that is refused is sent once', async () => {
  const { server, bodies, backend } = await scripted(refuse(0), say(409, { Results: null, Errors: null }));
  expect(await backend.commit(take('k'), live)).toEqual({ ok: false, why: 'conflict' });
  await failure(backend.commit(take('k'), live), 'rejected');
  expect(bodies).toHaveLength(2);
  await backend[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('who is refused has its answer, and who gave up meanwhile is not sent again with the rest', async () => {
  const giver = new AbortController();
  const first = (response: ServerResponse): void => {
    giver.abort(new Error('gave up'));
    refuse(0)(response);
  };
  const { server, bodies, backend } = await scripted(first, say(200, { Results: [pair('c')], Errors: null }));
  const calls = ['a', 'b', 'c'].map((key) => backend.commit(take(key), key === 'b' ? giver.signal : live));
  const results = await Promise.allSettled(calls);
  expect(results).toMatchObject([
    { value: { ok: false, why: 'conflict' } },
    { reason: { message: 'gave up' } },
    { value: { ok: true, revision: 8n } },
  ]);
  const keys = bodies.map((body) => [...body.matchAll(/"set","Key":"(\w)"/g)].map(([, key]) => key));
  expect(keys).toEqual([['a', 'b', 'c'], ['c']]);
  await backend[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('the indexes of several commits are exact, also where a number of JavaScript is not', async () => {
  const results = ['a', 'b', 'c'].map((key, i) =>
    JSON.stringify(pair(key)).replace('8}', `900719925474099${i}}`),
  );
  const { server, backend } = await scripted((response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`{"Results":[${results.join(',')}],"Errors":null}`);
  });
  const calls = ['a', 'b', 'c'].map((key) => backend.commit(put(key), live));
  const revisions = (await Promise.all(calls)).map((result) => result.ok && result.revision);
  expect(revisions).toEqual([9007199254740990n, 9007199254740991n, 9007199254740992n]);
  await backend[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test.each([
  ['too few results', { Results: [pair('a')], Errors: null }],
  ['no records', { Results: [pair('a'), { KV: { Key: 'b' } }], Errors: null }],
  ['an index that is none', { Results: [pair('a'), { KV: { ...pair('b').KV, ModifyIndex: -1 } }] }],
  ['no results', {}],
])('of several commits none is taken for applied that the answer does not tell of: %s', async (_, body) => {
  const { server, backend } = await scripted(say(200, body));
  const calls = ['a', 'b'].map((key) => backend.commit(put(key), live));
  const codes = (await Promise.allSettled(calls)).map((result) =>
    result.status === 'rejected' ? result.reason.code : result.value.ok,
  );
  expect(codes[1]).toBe('bad-response');
  await backend[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('the disposal ends commits that are collected, under way or alone, and leaves no listener', async () => {
  const { server, bodies, backend } = await scripted();
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  const calls = ['a', 'b', 'c'].map((key) => backend.commit(put(key), signal));
  await until('under way', () => bodies.length === 1);
  calls.push(backend.commit(put('d'), signal));
  await until('both under way', () => bodies.length === 2);
  calls.push(backend.commit(put('e'), signal), backend.commit(put('f'), signal));
  const rejected = calls.map((call) => failure(call, 'stopped'));
  // Where there are batches, everybody is asked from time to time.
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  await backend[Symbol.asyncDispose]();
  await Promise.all(rejected);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  await failure(backend.commit(put('g'), signal), 'stopped');
  expect(bodies).toHaveLength(2);
  await server[Symbol.asyncDispose]();
});

test('of several commits each has its own reason', async () => {
  const errors = [
    { OpIndex: 1, What: 'invalid session "x"' },
    { OpIndex: 3, What: 'failed to lock key "b" due to lock delay' },
    { OpIndex: 4, What: 'key "c" already exists' },
    { OpIndex: 7, What: 'Permission denied' },
  ];
  const { server, bodies, backend } = await scripted(say(409, { Results: null, Errors: errors }));
  const calls = ['a', 'b', 'c', 'd'].map((key) => backend.commit(take(key), live));
  expect(await Promise.allSettled(calls)).toMatchObject([
    { value: { ok: false, why: 'session-gone' } },
    { value: { ok: false, why: 'delayed' } },
    { value: { ok: false, why: 'conflict' } },
    { reason: { code: 'permission-denied' } },
  ]);
  expect(bodies).toHaveLength(1);
  await backend[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
