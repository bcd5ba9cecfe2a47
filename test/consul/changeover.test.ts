import { request } from 'node:http';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import { TcpProxy } from 'holdfast/testing';
import { describe, expect, inject, it } from 'vitest';
import { consul } from '../../src/backends/consul/index.ts';
import { slowed } from '../busy.ts';
import { authority, good } from './certificates.ts';
import {
  blockingQueries,
  bytes,
  failure,
  fakeHttp,
  fakeTcp,
  listen,
  put,
  signal,
  uniquePrefix,
  until,
} from './support.ts';

const address = inject('consulAddress');

describe('several addresses', () => {
  it('who waits at an address that fell silent goes on at the next one', async () => {
    await using proxy = await TcpProxy.open(address);
    using blocking = blockingQueries(proxy.address);
    await using watcher = consul({ addresses: [proxy.address, address], requestTimeout: 500 });
    await using actor = consul({ addresses: [address] });
    const key = `${uniquePrefix()}k`;
    await put(actor, key, '0');
    const { at } = await watcher.query({ key }, { signal: signal() });
    const early = watcher.query({ key }, { since: at, wait: 60_000, signal: signal() });
    const told = failure(early, 'unavailable');
    await until('a blocked query', () => blocking.sent > 0);
    proxy.silence();
    // With half of its time left it is asked of the next one.
    expect((await watcher.query({ key }, { signal: signal() })).records[0]?.value).toEqual(bytes('0'));

    const start = performance.now();
    // It is told, so that its owner can wait anew; much sooner than the query would have ended by itself.
    await told;
    const now = await watcher.query({ key }, { signal: signal() });
    const late = watcher.query({ key }, { since: now.at, wait: 60_000, signal: signal() });
    await put(actor, key, '1');
    expect((await late).records[0]?.value).toEqual(bytes('1'));
    expect(performance.now() - start).toBeLessThan(slowed(5_000));
    await actor.commit({ when: [], then: [{ remove: key }] }, signal());
  });

  it('an agent that has lost its servers is left for the next address', async () => {
    await using lost = await fakeHttp((_, answer) => {
      answer.writeHead(500, { 'content-type': 'text/plain' }).end('No cluster leader');
    });
    await using backend = consul({ addresses: [lost.address, address] });
    const key = `${uniquePrefix()}k`;
    await failure(backend.query({ key }, { signal: signal() }), 'unavailable');
    expect((await backend.query({ key }, { signal: signal() })).records).toEqual([]);
  });

  it('a commit whose answer was garbled within TLS is not sent again', async () => {
    let commits = 0;
    await using front = await listen(
      createServer(good, (incoming, outgoing) => {
        if (incoming.url?.includes('/txn')) commits++;
        const [host, port] = address.split(':');
        const { url: path, method, headers } = incoming;
        const onward = request({ host, port, path, method, headers }, (answer) => {
          outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(outgoing);
        });
        incoming.pipe(onward);
      }),
    );
    // Passes the handshake and the request on, and then answers by itself, in plain text.
    await using middle = await fakeTcp((socket) => {
      const onward = connect(front.port, '127.0.0.1');
      onward.on('error', () => {});
      socket.on('data', (chunk) => onward.write(chunk));
      onward.on('data', (chunk) => {
        socket.write(commits > 0 ? 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n' : chunk);
      });
      socket.on('close', () => onward.destroy());
    });
    await using backend = consul({
      addresses: [`https://${middle.address}`, `https://${front.address}`],
      tls: { ca: authority },
    });
    const key = `${uniquePrefix()}k`;
    const commit = { when: [{ key, is: 'absent' as const }], then: [{ put: key, value: bytes('x') }] };
    await expect(backend.commit(commit, signal())).rejects.toMatchObject({ name: 'SyncError' });
    expect(commits).toBe(1);
    // The outcome was unknown: it had been applied.
    expect((await backend.query({ key }, { signal: signal() })).records).toHaveLength(1);
    await backend.commit({ when: [], then: [{ remove: key }] }, signal());
  });
});
