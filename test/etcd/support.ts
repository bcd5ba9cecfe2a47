import { setMaxListeners } from 'node:events';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type EtcdOptions, etcd } from '../../src/backends/etcd/index.ts';
import type { Backend, StoredRecord } from '../../src/sync/backend.ts';

/** A signal that nobody aborts. */
export const never = new AbortController().signal;
setMaxListeners(0, never);

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (record: StoredRecord | undefined): string => new TextDecoder().decode(record?.value);

/** Lower-case hex, so that a name can stand in a key. */
export const uniqueName = (): string => crypto.randomUUID();

export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  within = 15_000,
): Promise<void> {
  const deadline = performance.now() + within;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`It did not come true within ${within} ms: ${what}.`);
    await delay(5);
  }
}

export async function withEtcd<T>(options: EtcdOptions, use: (backend: Backend) => Promise<T>): Promise<T> {
  await using backend = etcd(options);
  return await use(backend);
}

export function put(backend: Backend, key: string, value = 'v'): Promise<unknown> {
  return backend.commit({ when: [], then: [{ put: key, value: bytes(value) }] }, never);
}

/** The TCP sockets of this process. */
export const socketCount = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'TCPConnectWrap')
    .length;

/** A TCP proxy that can fall silent: it then takes connections and bytes and passes nothing on, in either direction. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: string;
  /** Connections that were accepted so far. */
  accepted = 0;
  #silenced = new WeakSet<Socket>();

  constructor(target: string) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  static async open(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy does not listen.');
    return `127.0.0.1:${address.port}`;
  }

  get open(): number {
    return this.#sockets.size;
  }

  /** The connections of now pass nothing on any more; later ones do. */
  silence(): void {
    for (const socket of this.#sockets) {
      this.#silenced.add(socket);
      socket.unpipe();
      socket.resume();
    }
  }

  /** Resets the connections of now. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket): void {
    this.accepted += 1;
    const [host = '', port] = this.#target.split(':');
    const server = dial(Number(port), host);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from
        .on('error', () => undefined)
        .on('close', () => {
          this.#sockets.delete(from);
          if (!this.#silenced.has(from)) to.destroy();
        });
      from.pipe(to);
    }
  }
}
