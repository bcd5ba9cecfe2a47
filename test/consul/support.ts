import { randomUUID } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import {
  type ClientRequest,
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../../src/contract/backend.ts';
import { isSyncError, type SyncError, type SyncErrorCode } from '../../src/contract/errors.ts';
import { patience } from '../crowd.ts';

/** Resolves as soon as the condition holds. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> {
  const begun = performance.now();
  while (!(await holds())) {
    if (performance.now() - begun > patience(ms)) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(5);
  }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const signal = (): AbortSignal => new AbortController().signal;
export const uniquePrefix = (): string => `test/${randomUUID()}/`;

export async function failure(promise: Promise<unknown>, code: SyncErrorCode): Promise<SyncError> {
  const outcome: unknown = await promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  );
  if (isSyncError(outcome, code)) return outcome;
  throw new Error(`expected a SyncError ${code}`, { cause: outcome });
}

export async function session(backend: Backend, lockDelay = 0): Promise<string> {
  const { id } = await backend.openSession({ name: 'test', ttl: 60_000, lockDelay }, signal());
  return id;
}

export async function put(backend: Backend, key: string, text: string, owner?: string) {
  const mutation = { put: key, value: bytes(text), ...(owner !== undefined && { session: owner }) };
  const result = await backend.commit({ when: [], then: [mutation] }, signal());
  if (!result.ok) throw new Error(`not applied: ${result.why}`);
  return result.revision;
}

interface Listening extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
}

/** An HTTP server that answers as it is told. */
export async function fakeHttp(listener: RequestListener): Promise<Listening> {
  return listen(createHttpServer(listener));
}

/** Whether a request was answered already, or is passed on. */
export type Intercept = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;

/** Stands before a real server, and answers what it wants to by itself. */
export function relayTo(address: string, intercept: Intercept): RequestListener {
  const [host, port] = address.split(':');
  return (incoming, outgoing) => {
    if (intercept(incoming, outgoing)) return;
    const { method, url, headers } = incoming;
    const passed = request({ host, port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    outgoing.on('close', () => passed.destroy());
    incoming.pipe(passed);
  };
}

/** A server below HTTP. */
export async function fakeTcp(onConnection: (socket: Socket) => void): Promise<Listening> {
  return listen(
    createServer((socket) => {
      socket.on('error', () => {});
      onConnection(socket);
    }),
  );
}

export async function listen(server: Server | NetServer): Promise<Listening> {
  const sockets = new Set<Socket>();
  const event = 'closeAllConnections' in server && 'key' in server ? 'secureConnection' : 'connection';
  server.on(event, (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}

/** Counts the blocking queries that this process sends to an address. */
export function blockingQueries(address: string): Disposable & { readonly sent: number } {
  let sent = 0;
  const onRequest = (message: unknown): void => {
    const { request } = message as { request: ClientRequest };
    if (request.getHeader('host') === address && request.path.includes('&index=')) sent++;
  };
  subscribe('http.client.request.start', onRequest);
  return {
    get sent() {
      return sent;
    },
    [Symbol.dispose]: () => unsubscribe('http.client.request.start', onRequest),
  };
}
