import { once } from 'node:events';
import { connect } from 'node:net';
import { TcpProxy } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { fakeTcp } from '../consul/support.ts';
import { ClientSockets } from './client-sockets.ts';

test('F2: of connections that take each other’s place one is open at a time, whenever the other side hears of it', async () => {
  await using server = await fakeTcp(() => {});
  await using proxy = await TcpProxy.open(server.address);
  const port = Number(proxy.address.split(':')[1]);
  using sockets = new ClientSockets(proxy.address);
  let last = connect(port, '127.0.0.1');
  await once(last, 'connect');
  for (let round = 0; round < 20; round++) {
    // In one turn, as a client does whose request ran out of time.
    last.destroy();
    last = connect(port, '127.0.0.1');
    await once(last, 'connect');
  }
  expect(sockets.most).toBe(1);
  const another = connect(port, '127.0.0.1');
  await once(another, 'connect');
  expect(sockets.most).toBe(2);
  for (const socket of [last, another]) socket.destroy();
});
