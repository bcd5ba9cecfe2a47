import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Passes TCP on until it falls silent: then connections stay open, and nothing gets through any more. */
export interface SilentProxy extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  fallSilent(): void;
}

export async function silentProxy(target: string): Promise<SilentProxy> {
  const [host, port] = target.split(':');
  const sockets = new Set<Socket>();
  let silent = false;
  const server = createServer((client) => {
    const upstream = connect(Number(port), host);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('data', (chunk) => {
        if (!silent) other.write(chunk);
      });
      // A silent network tells nobody of an end either.
      one.on('close', () => {
        sockets.delete(one);
        if (!silent) other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    fallSilent: () => {
      silent = true;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
