import { createServer as createHttp2Server } from 'node:http2';
import type { Socket } from 'node:net';
import { type Backend, isSyncError } from 'holdfast';
import { expect, test } from 'vitest';
import { fakeHttp, fakeTcp } from '../consul/support.ts';
import { live, Managers, sessionOf, uniqueKey, until } from '../scenarios/world.ts';
import { Site, TTL } from './site.ts';
import { connectTo, type WebStore, webStores } from './stores.ts';

const breaks = webStores.flatMap((store) =>
  (['resetAfter', 'truncateAfter'] as const).map((how) => [store, how] as const),
);

test.concurrent.each(breaks)(
  'FAULTS 8: replies of %s broken in the middle (%s): typed errors, and nobody holds what the server does not say',
  async (store, how) => {
    // Nothing here is to expire, however long a busy machine takes.
    await using site = await Site.open(store, { ttl: 10_000 });
    const { proxy } = site;
    const stem = uniqueKey('broken');
    const backend = site.bare();
    const reset = Array.from({ length: 20 }, (_, number) => number * 4);
    let broken = 0;
    for (const [number, length] of reset.entries()) {
      const key = `${stem}/bare/${number}`;
      await untilAnswered(backend, key);
      proxy[how](length);
      const outcome = await backend
        .commit({ when: [], then: [{ put: key, value: new Uint8Array([1]) }] }, live)
        .catch((error: unknown) => error);
      if (outcome instanceof Error) {
        broken++;
        expect(isSyncError(outcome)).toBe(true);
        expect(['unavailable', 'bad-response']).toContain(isSyncError(outcome) && outcome.code);
      } else {
        expect(await site.records(key)).toHaveLength(1);
      }
    }
    expect(broken).toBeGreaterThan(reset.length / 2);

    const sync = site.remote();
    for (const [number, length] of reset.entries()) {
      proxy[how](length);
      const grant = await sync.acquire(`${stem}/held/${number}`);
      const records = await site.records(`${stem}/held/${number}`);
      expect(grant.held).toBe(true);
      expect(records.map(({ session }) => session)).toEqual([await sessionOf(sync)]);
      proxy[how](length);
      await grant.release();
      expect(await site.records(`${stem}/held/`)).toEqual([]);
    }
    const { records } = await site.operator.query({ prefix: `${stem}/` }, { signal: live });
    const then = records.map(({ key }) => ({ remove: key }));
    await site.operator.commit({ when: [], then }, live);
    console.info(
      `FAULTS 8 ${store}, ${how}: ${broken} of ${reset.length} commits a typed error, 0 false grants`,
    );
  },
);

async function untilAnswered(backend: Backend, key: string): Promise<void> {
  await until(async () => {
    const answer = await backend.query({ key }, { signal: live }).catch(() => undefined);
    return answer !== undefined;
  });
}

const MIB = 1 << 20;

/** Peers that are no etcd and no Consul. Each counts the bytes that it was asked to send. */
interface Peer extends AsyncDisposable {
  readonly address: string;
  readonly sent: () => number;
}

const html = '<html><body>502 Bad Gateway</body></html>';

/** Writes until the reader has had 100 MiB or hangs up. */
function flood(stream: NodeJS.WritableStream & { readonly destroyed: boolean }, count: (n: number) => void) {
  const chunk = Buffer.alloc(MIB / 4, ' ');
  let left = 100 * MIB;
  const more = (): void => {
    while (left > 0 && !stream.destroyed) {
      left -= chunk.length;
      count(chunk.length);
      if (!stream.write(chunk)) return;
    }
    if (left <= 0) stream.end();
  };
  stream.on('drain', more);
  stream.on('error', () => undefined);
  more();
}

const peers: Record<string, (store: WebStore) => Promise<Peer>> = {
  'HTML with 502': async (store) => {
    if (store === 'etcd') {
      return http2Peer((stream) => {
        stream.respond({ ':status': 502, 'content-type': 'text/html' });
        stream.end(html);
      });
    }
    const server = await fakeHttp((_, response) => {
      response.writeHead(502, { 'content-type': 'text/html' }).end(html);
    });
    return Object.assign(server, { sent: () => 0 });
  },
  'HTML with 502 as HTTP/1.1': async () => {
    const answer = `HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: ${html.length}\r\n\r\n${html}`;
    const server = await fakeTcp((socket) => socket.on('data', () => socket.write(answer)));
    return Object.assign(server, { sent: () => 0 });
  },
  garbage: async () => {
    const answer = Buffer.from(Array.from({ length: 4_096 }, (_, n) => (n * 7_919) % 251));
    const server = await fakeTcp((socket: Socket) => socket.on('data', () => socket.write(answer)));
    return Object.assign(server, { sent: () => 0 });
  },
  'a body of 100 MB': async (store) => {
    let sent = 0;
    const count = (n: number): void => {
      sent += n;
    };
    if (store === 'etcd') {
      return http2Peer(
        (stream) => {
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
          const head = Buffer.alloc(5);
          head.writeUInt32BE(100 * MIB, 1);
          stream.write(head);
          flood(stream, count);
        },
        () => sent,
      );
    }
    const server = await fakeHttp((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '5' });
      flood(response, count);
    });
    return Object.assign(server, { sent: () => sent });
  },
};

async function http2Peer(
  onStream: (stream: import('node:http2').ServerHttp2Stream) => void,
  sent = () => 0,
): Promise<Peer> {
  const server = createHttp2Server();
  const sessions = new Set<import('node:http2').ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined).on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    onStream(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return {
    address: `127.0.0.1:${address.port}`,
    sent,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const ID: Record<WebStore, string> = { etcd: '5f1e', Consul: '11111111-2222-3333-4444-555555555555' };

const calls: Record<string, (backend: Backend, store: WebStore) => Promise<unknown>> = {
  query: (backend) => backend.query({ key: 'a' }, { signal: live }),
  commit: (backend) => backend.commit({ when: [], then: [{ remove: 'a' }] }, live),
  open: (backend) => backend.openSession({ name: 'n', ttl: 10_000, lockDelay: 0 }, live),
  renew: (backend, store) => backend.renewSession(ID[store], live),
  close: (backend, store) => backend.closeSession(ID[store], live),
};

const rows = webStores.flatMap((store) => Object.keys(peers).map((kind) => [store, kind] as const));

test.each(rows)(
  'FAULTS 8: in place of %s, %s: a typed error to every call, never held, the body capped',
  async (store, kind) => {
    await using peer = await (peers[kind] as (store: WebStore) => Promise<Peer>)(store);
    const codes: string[] = [];
    {
      await using backend = connectTo(store, peer.address);
      for (const [name, call] of Object.entries(calls)) {
        const outcome = await call(backend, store).then(
          () => 'no error',
          (error: unknown) => error,
        );
        expect(isSyncError(outcome), `${name}: ${String(outcome)}`).toBe(true);
        if (isSyncError(outcome)) codes.push(outcome.code);
      }
    }
    expect(new Set(codes)).toEqual(
      new Set(codes.filter((code) => /^(unavailable|bad-response)$/.test(code))),
    );
    const perCall = peer.sent() / codes.length / MIB;
    expect(perCall).toBeLessThan(32);

    // The same through a lock: nobody is told that he holds.
    const world = { name: store, ttl: TTL, lockDelay: 0, backend: () => connectTo(store, peer.address) };
    await using managers = new Managers(world);
    const sync = managers.make();
    const lock = sync.lock('a');
    const states: string[] = [];
    lock.state$.subscribe(({ name }) => states.push(name));
    // Who only tries is told that it cannot be had now; who waits, why.
    expect(await lock.tryLock({ timeout: 5_000 })).toBeUndefined();
    await expect(lock.lock({ timeout: 500 })).rejects.toSatisfy((error) => isSyncError(error));
    await expect(sync.acquire('b', { timeout: 500 })).rejects.toSatisfy((error) => isSyncError(error));
    expect(lock.held).toBe(false);
    expect(states).not.toContain('held');
    console.info(`FAULTS 8 ${store}, ${kind}: ${codes.join(', ')}; ${perCall.toFixed(1)} MiB sent a call`);
  },
);
