import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Passes TCP on to a server, and counts the connections of whoever comes through it. */
export interface CountingProxy extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  readonly open: number;
  /** The most that were open at one time. */
  readonly most: number;
}

export async function countingProxy(port: number): Promise<CountingProxy> {
  const sockets = new Set<Socket>();
  let most = 0;
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    sockets.add(client);
    most = Math.max(most, sockets.size);
    client.pipe(upstream).pipe(client);
    const close = (): void => {
      sockets.delete(client);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', close).on('close', close);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get open() {
      return sockets.size;
    },
    get most() {
      return most;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
