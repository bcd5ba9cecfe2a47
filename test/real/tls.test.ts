import { once } from 'node:events';
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from 'node:net';
import { type Backend, SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificate, Certificates } from '../etcd/certificates.ts';
import { next, uniqueKey } from '../scenarios/world.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import { reservePorts } from '../servers/ports.ts';
import { type WebStore, webStores } from './stores.ts';

/** A server that speaks TLS with the given certificate, as `host:port`. */
interface Server extends AsyncDisposable {
  readonly address: string;
}

let certificates: Certificates;
let ca: Certificate;
let otherCa: Certificate;

beforeAll(async () => {
  certificates = await Certificates.create();
  [ca, otherCa] = await Promise.all([certificates.authority(), certificates.authority()]);
});
afterAll(() => certificates?.[Symbol.asyncDispose]());

async function serve(store: WebStore, { certFile, keyFile }: Certificate): Promise<Server> {
  if (store === 'etcd') {
    // With a CA of its own the server asks every client for a certificate.
    return startEtcd({
      tls: { certFile, keyFile, trustedCaFile: ca.certFile },
      args: ['--trusted-ca-file='],
    });
  }
  const reservation = await reservePorts(1);
  const [https = 0] = reservation.ports;
  const config = { ports: { https }, cert_file: certFile, key_file: keyFile };
  const server = await startConsul({ sessionTtlMin: '1s', config });
  return { address: `127.0.0.1:${https}`, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function connect(store: WebStore, address: string, trusted: string | undefined): Backend {
  const tls = trusted === undefined ? {} : { tls: { ca: trusted } };
  const url = trusted === undefined ? address : `https://${address}`;
  return store === 'etcd'
    ? etcd({ hosts: url, ...tls })
    : consul({ addresses: [url], sessionTtlMin: 1_000, ...tls });
}

/** Asks for a lock until the server is told to be wrong, and gives the error. */
async function refusal(store: WebStore, address: string, trusted?: string): Promise<unknown> {
  const sync = new SyncManager({
    name: 'tls',
    backend: connect(store, address, trusted),
    session: { ttl: 10_000 },
  });
  try {
    const lock = sync.lock(uniqueKey('tls'));
    const trouble = next(sync.events$, (event) => event.type === 'trouble');
    const outcome = await lock.lock({ timeout: 3_000 }).catch((error: unknown) => error);
    expect(lock.held).toBe(false);
    await trouble;
    return outcome;
  } finally {
    await sync.stop();
  }
}

const faults: Record<
  string,
  { readonly name?: string; readonly days?: number; readonly trusted?: () => string }
> = {
  'another authority': { trusted: () => otherCa.cert },
  'another name': { name: 'DNS:elsewhere' },
  'an expired certificate': { days: -1 },
};

test.each(
  webStores.flatMap((store) => Object.entries(faults).map(([what, fault]) => [store, what, fault] as const)),
)(
  'FAULTS 19: %s with %s is refused as insecure',
  async (store, _, { name = 'IP:127.0.0.1', days = 2, trusted = () => ca.cert }) => {
    await using server = await serve(store, await certificates.issue(ca, name, days));
    const error = await refusal(store, server.address, trusted());
    expect(error).toMatchObject({ name: 'SyncError', code: 'insecure' });
    expect(String(error)).toContain(server.address);
  },
);

test.each(webStores)(
  'FAULTS 19: TLS to a plain port of %s is refused as insecure, with no downgrade',
  async (store) => {
    await using server = store === 'etcd' ? await startEtcd() : await startConsul({ sessionTtlMin: '1s' });
    await using wire = await tap(server.address);
    expect(await refusal(store, wire.address, ca.cert)).toMatchObject({
      name: 'SyncError',
      code: 'insecure',
    });
    expect(wire.begins.length).toBeGreaterThan(0);
    expect([...new Set(wire.begins)]).toEqual([TLS_HANDSHAKE]);
  },
);

test.each(webStores)('FAULTS 19: plain text to a TLS port of %s is refused', async (store) => {
  await using server = await serve(store, await certificates.issue(ca, 'IP:127.0.0.1'));
  const error = await refusal(store, server.address);
  // etcd hangs up without a word, which is no different from a server that is not there.
  const refused = { code: 'timeout', cause: expect.objectContaining({ code: 'unavailable' }) };
  expect(error).toMatchObject(store === 'etcd' ? refused : { code: 'insecure' });
});

/** The type of a TLS record that begins a handshake. */
const TLS_HANDSHAKE = 0x16;

interface Tap extends AsyncDisposable {
  readonly address: string;
  /** The first byte that the client sent on each connection. */
  readonly begins: number[];
}

async function tap(target: string): Promise<Tap> {
  const [host, port] = target.split(':');
  const begins: number[] = [];
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connectSocket(Number(port), host);
    client.once('data', (chunk) => begins.push(chunk[0] ?? -1));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.once('close', () => other.destroy());
      one.pipe(other);
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    address: `127.0.0.1:${(listener.address() as AddressInfo).port}`,
    begins,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}
