import { consul } from 'holdfast/consul';
import { TcpProxy } from 'holdfast/testing';
import { expect, inject, test } from 'vitest';
import { busy } from '../busy.ts';
import { blockingQueries, fakeHttp, put, relayTo, session, uniquePrefix } from '../consul/support.ts';
import { live, losses, Managers, uniqueKey, until } from '../scenarios/world.ts';

const address = inject('consulAddress');
const TTL = 6_000;
/** More than a renewal is waited for; half of it is less. As with the defaults of 10 s and 5 s. */
const REQUEST_TIMEOUT = 3_000;
const backendAt = (...addresses: string[]) =>
  consul({ addresses, sessionTtlMin: 1_000, requestTimeout: REQUEST_TIMEOUT });
const world = { name: 'Consul', ttl: TTL, lockDelay: 0, backend: () => backendAt(address) };

/** Opens as many sockets for commands as there are. */
async function fillPool(backend: ReturnType<typeof backendAt>, proxy: TcpProxy): Promise<void> {
  const prefix = uniquePrefix();
  await until(async () => {
    const keys = Array.from({ length: 12 }, (_, number) => `${prefix}${number}`);
    await Promise.all(keys.map((key) => backend.query({ key }, { signal: live })));
    return proxy.open >= 12;
  });
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

test('C1: Consul, two addresses of which the one in use hangs: the other one is asked, for renewals too, and what is held stays held', async () => {
  await using proxy = await TcpProxy.open(address);
  await using managers = new Managers(world);
  const sync = managers.make({ backend: backendAt(proxy.address, address) });
  const lock = sync.lock(uniqueKey('hangs'));
  const lost = losses(lock);
  using blocking = blockingQueries(proxy.address);
  const grant = await lock.lock();
  // From then on there is nothing but renewals, which are given up before their time is over.
  await until(() => blocking.sent > 0);
  proxy.set({ cut: 'both' });
  await new Promise((resolve) => setTimeout(resolve, 1.5 * TTL));
  expect([grant.held, lost]).toEqual([true, []]);
  const then = [{ put: `${grant.key}/done`, value: new Uint8Array() }];
  expect(await sync.commit({ when: [grant.isOwner], then })).toMatchObject({ ok: true });
  await sync.commit({ when: [], then: [{ remove: `${grant.key}/done` }] });
});

test('C1: Consul, one address whose pooled sockets were dropped silently: they are not tried one after the other', async () => {
  await using proxy = await TcpProxy.open(address);
  await using managers = new Managers(world);
  const backend = backendAt(proxy.address);
  const sync = managers.make({ backend });
  const held = await sync.acquire(uniqueKey('kept'));
  await fillPool(backend, proxy);
  proxy.silence();
  const waited = await took(() => sync.acquire(uniqueKey('next')));
  // One that may have been sent is waited for; then nothing goes by a dead socket any more.
  expect(waited).toBeLessThan(2 * REQUEST_TIMEOUT + busy());
  expect(held.held).toBe(true);
  console.info(`C1 Consul: 12 sockets dropped, an acquire takes ${waited.toFixed(0)} ms`);
});

test('C1: Consul, idle sockets that are dead while others are answered: one of them is the last', async () => {
  await using proxy = await TcpProxy.open(address);
  await using backend = backendAt(proxy.address);
  await fillPool(backend, proxy);
  proxy.silence();
  const id = await session(backend);
  const renewing = setInterval(() => void backend.renewSession(id, live).catch(() => {}), 50);
  const key = `${uniquePrefix()}a`;
  const first = await took(() => put(backend, key, '1').catch(() => {}));
  const second = await took(() => put(backend, key, '2'));
  clearInterval(renewing);
  expect(first).toBeGreaterThan(REQUEST_TIMEOUT - 50);
  expect(second).toBeLessThan(REQUEST_TIMEOUT / 2);
  await backend.commit({ when: [], then: [{ remove: key }] }, live);
  await backend.closeSession(id, live);
});

test('C2: Consul, one key whose reads answer 500 moves nothing: no connection is made for it', async () => {
  const broken = `${uniquePrefix()}broken`;
  await using relay = await fakeHttp(
    relayTo(address, ({ url }, answer) => {
      if (!url?.includes(broken)) return false;
      answer.writeHead(500, { 'content-type': 'text/plain' }).end('rpc error making call: EOF');
      return true;
    }),
  );
  await using one = await TcpProxy.open(relay.address);
  await using two = await TcpProxy.open(relay.address);
  await using managers = new Managers(world);
  const backend = backendAt(one.address, two.address);
  const sync = managers.make({ backend });
  const lock = sync.lock(uniqueKey('beside'));
  const lost = losses(lock);
  const grant = await lock.lock();
  for (let round = 0; round < 50; round++) {
    await expect(backend.query({ key: broken }, { signal: live })).rejects.toThrow('answered 500');
  }
  expect([grant.held, lost]).toEqual([true, []]);
  expect(two.accepted).toBe(0);
  expect(one.accepted).toBeLessThan(10);
});

test('C2: Consul, an agent that fails whatever it is asked is left, also if it does not say why', async () => {
  await using failing = await fakeHttp((_, answer) => {
    answer.writeHead(500, { 'content-type': 'text/plain' }).end('out of order');
  });
  await using backend = backendAt(failing.address, address);
  const key = `${uniquePrefix()}k`;
  await until(async () => {
    const shown = await backend.query({ key }, { signal: live }).catch(() => undefined);
    return shown?.records.length === 0;
  });
});

test('C5: Consul, a server that closes a socket when it is used again: reads and renewals are asked once more, what may have been done is not', async () => {
  const seen = new WeakSet<object>();
  let writes = 0;
  await using relay = await fakeHttp(
    relayTo(address, ({ socket, url }) => {
      if (url?.startsWith('/v1/txn')) writes++;
      if (seen.has(socket)) socket.resetAndDestroy();
      const isReset = socket.destroyed;
      seen.add(socket);
      return isReset;
    }),
  );
  await using second = await TcpProxy.open(address);
  await using backend = backendAt(relay.address, second.address);
  const id = await session(backend);
  const key = `${uniquePrefix()}a`;
  for (let round = 0; round < 3; round++) {
    expect(await backend.renewSession(id, live)).toBe('renewed');
    expect((await backend.query({ key }, { signal: live })).records).toEqual([]);
  }
  // By the socket of the last read.
  await expect(put(backend, key, '1')).rejects.toMatchObject({ code: 'unavailable', outcome: 'unknown' });
  expect(writes).toBe(1);
  // One such socket is no reason to leave a server.
  expect(second.accepted).toBe(0);
  await backend.closeSession(id, live);
});
