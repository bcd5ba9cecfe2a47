import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { consul } from 'holdfast/consul';
import { expect, inject, test } from 'vitest';
import { live, uniqueKey } from '../scenarios/world.ts';

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
  expect(performance.now() - begun).toBeLessThan(1_000);
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
