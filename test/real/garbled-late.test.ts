import { once } from 'node:events';
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from 'node:net';
import { type Backend, isSyncError, SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Certificate, Certificates } from '../etcd/certificates.ts';
import { live, sessionOf, uniqueKey, until } from '../scenarios/world.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import { reservePorts } from '../servers/ports.ts';
import { type WebStore, webStores } from './stores.ts';

/** Milliseconds that a request is held back. */
const LATE = 2_500;

/** No session ends in these tests, and no renewal comes in between. */
const TTL = 60_000;

let certificates: Certificates;
let ca: Certificate;

beforeAll(async () => {
  certificates = await Certificates.create();
  ca = await certificates.authority();
});
afterAll(() => certificates?.[Symbol.asyncDispose]());

interface Server extends AsyncDisposable {
  readonly address: string;
}

async function serve(store: WebStore, secure: boolean): Promise<Server> {
  const { certFile, keyFile } = await certificates.issue(ca, 'IP:127.0.0.1');
  if (store === 'etcd') {
    if (!secure) return startEtcd();
    return startEtcd({
      tls: { certFile, keyFile, trustedCaFile: ca.certFile },
      args: ['--trusted-ca-file='],
    });
  }
  if (!secure) return startConsul({ sessionTtlMin: '1s' });
  const reservation = await reservePorts(1);
  const [https = 0] = reservation.ports;
  const config = { ports: { https }, cert_file: certFile, key_file: keyFile };
  const server = await startConsul({ sessionTtlMin: '1s', config });
  return { address: `127.0.0.1:${https}`, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function connect(store: WebStore, address: string, secure: boolean): Backend {
  const url = secure ? `https://${address}` : address;
  const tls = secure ? { tls: { ca: ca.cert } } : {};
  return store === 'etcd' ? etcd({ hosts: url, ...tls }) : consul({ addresses: [url], ...tls });
}

/** Passes everything on, until it is told to garble. */
class Garbler implements AsyncDisposable {
  /** The next request is answered with garbage at once, and passed on late. */
  armed = false;
  passedLate = 0;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #listener = createServer({ allowHalfOpen: true });

  static async open(target: string): Promise<Garbler> {
    const garbler = new Garbler();
    const [host, port] = target.split(':');
    garbler.#listener.on('connection', (client: Socket) => {
      const server = connectSocket({ host, port: Number(port), allowHalfOpen: true });
      garbler.#join(client, server);
    });
    garbler.#listener.listen(0, '127.0.0.1');
    await once(garbler.#listener, 'listening');
    return garbler;
  }

  get address(): string {
    return `127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  #join(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    }
    let garbled = false;
    client.on('data', (chunk) => {
      if (this.armed && !garbled) {
        this.armed = false;
        garbled = true;
        // What else belongs to the request is sent in the same turn of the client's event loop, or soon after.
        this.#after(20, () => client.write(Buffer.from('this is not what the server said, not at all')));
      }
      if (!garbled) server.write(chunk);
      else {
        this.#after(LATE, () => {
          this.passedLate += 1;
          server.write(chunk);
        });
      }
    });
    server.on('data', (chunk) => {
      if (!garbled) client.write(chunk);
    });
    // The server hears nothing of the end of a connection that was garbled: what is on its way arrives.
    client.on('close', () => !garbled && server.destroy());
    server.on('close', () => client.destroy());
  }

  #after(ms: number, task: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      task();
    }, ms);
    this.#timers.add(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
    this.#listener.close();
    await once(this.#listener, 'close');
  }
}

const rows = webStores.flatMap((store) => [true, false].map((secure) => [store, secure] as const));

test.concurrent.each(rows)(
  'A5: %s (TLS: %s): a connection garbled after the request was sent, which is applied 2.5 s later: nothing is left of it',
  async (store, secure) => {
    await using server = await serve(store, secure);
    await using garbler = await Garbler.open(server.address);
    await using operator = connect(store, server.address, secure);
    const sync = new SyncManager({
      name: 'garbled',
      backend: connect(store, garbler.address, secure),
      session: { ttl: TTL, lockDelay: 0 },
    });
    try {
      await (await sync.acquire(uniqueKey('warm'))).release();
      const session = await sessionOf(sync);
      const key = uniqueKey('garbled');
      const prefix = { prefix: key };
      const troubles: unknown[] = [];
      sync.events$.subscribe((event) => event.type === 'trouble' && troubles.push(event.error));
      const giver = new AbortController();
      garbler.armed = true;
      const asked = sync.acquire(key, { signal: giver.signal }).catch((error: unknown) => error);
      await until(() => troubles.length > 0);
      giver.abort(new Error('gave up'));
      await asked;
      const [trouble] = troubles;
      expect(isSyncError(trouble) && trouble.outcome).toBe('unknown');
      if (store === 'Consul') expect(trouble).toMatchObject({ code: secure ? 'insecure' : 'bad-response' });

      // It takes effect, in a session that lives on.
      const seen = operator.query(prefix, { signal: live });
      let { records, at } = await seen;
      while (records[0]?.session !== session) {
        ({ records, at } = await operator.query(prefix, { since: at, wait: 10_000, signal: live }));
      }
      expect(garbler.passedLate).toBeGreaterThan(0);
      await until(async () => (await operator.query(prefix, { signal: live })).records.length === 0);
      expect(await sessionOf(sync)).toBe(session);
    } finally {
      await sync.stop();
    }
  },
  60_000,
);
