import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, inject, it } from 'vitest';
import { type ConsulOptions, consul } from '../../src/backends/consul/index.ts';
import type { Backend } from '../../src/contract/backend.ts';
import type { SyncErrorCode } from '../../src/contract/errors.ts';
import { slowed } from '../busy.ts';
import { failure, fakeHttp, fakeTcp, put, signal, uniquePrefix, until } from './support.ts';

const TOKEN = 'very-secret-token';
const ID = '11111111-2222-3333-4444-555555555555';

const calls: Record<string, (backend: Backend) => Promise<unknown>> = {
  query: (backend) => backend.query({ key: 'a' }, { signal: signal() }),
  wait: (backend) => backend.query({ key: 'a' }, { since: '1:-', wait: 20_000, signal: signal() }),
  commit: (backend) => backend.commit({ when: [], then: [{ remove: 'a' }] }, signal()),
  open: (backend) => backend.openSession({ name: 'n', ttl: 10_000, lockDelay: 0 }, signal()),
  renew: (backend) => backend.renewSession(ID, signal()),
  close: (backend) => backend.closeSession(ID, signal()),
};

async function expectAll(options: ConsulOptions, code: SyncErrorCode, says: RegExp): Promise<void> {
  await using backend = consul({ requestTimeout: 2_000, token: TOKEN, ...options });
  for (const [name, call] of Object.entries(calls)) {
    const error = await failure(call(backend), code);
    expect(error.message, name).toMatch(says);
    expect(`${error.message} ${String(error.cause)} ${JSON.stringify(error)}`, name).not.toContain(TOKEN);
  }
}

describe('what is no answer of Consul', () => {
  const text = (status: number, body: string, type = 'text/plain'): RequestListener => {
    return (_, response) => response.writeHead(status, { 'content-type': type }).end(body);
  };

  it.each<[string, RequestListener, SyncErrorCode, RegExp]>([
    ['HTML with 502', text(502, '<html>Bad Gateway</html>', 'text/html'), 'unavailable', /answered 502: /],
    ['HTML with 200', text(200, '<html>Welcome</html>', 'text/html'), 'bad-response', /is that Consul/],
    ['nothing with 200', text(200, ''), 'bad-response', /is that Consul/],
    ['404 of something else', text(404, 'not here'), 'unavailable', /answered 404/],
    ['409 of something else', text(409, '{}', 'application/json'), 'rejected', /transaction|answered 409/],
    ['no leader', text(500, 'No cluster leader'), 'unavailable', /No cluster leader/],
    ['an RPC error', text(500, 'rpc error making call: EOF'), 'unavailable', /rpc error/],
    ['403', text(403, `Permission denied: ${TOKEN}`), 'permission-denied', /<token>/],
    ['ACL not found in a 500', text(500, 'ACL not found'), 'permission-denied', /ACL not found/],
    ['too many requests', text(429, 'slow down'), 'unavailable', /429/],
    [
      'plain HTTP to a TLS port',
      text(400, 'Client sent an HTTP request to an HTTPS server.\n'),
      'insecure',
      /TLS/,
    ],
    ['400', text(400, 'Invalid wait time'), 'rejected', /Invalid wait time/],
  ])('FAULTS 8: %s: a typed error to every call', async (_, listener, code, says) => {
    await using server = await fakeHttp(listener);
    await expectAll({ addresses: [server.address] }, code, says);
  });

  it('FAULTS 33: does not follow a redirect', async () => {
    const asked: string[] = [];
    await using server = await fakeHttp((request, response) => {
      asked.push(request.url ?? '');
      response.writeHead(301, { location: '/elsewhere' }).end();
    });
    await expectAll({ addresses: [server.address] }, 'bad-response', /redirect/);
    expect(asked).toHaveLength(Object.keys(calls).length);
    expect(asked).not.toContain('/elsewhere');
  });

  it('FAULTS 8: stops reading an answer without end', async () => {
    let sent = 0;
    await using server = await fakeHttp((_, response) => {
      const chunk = Buffer.alloc(1024 * 1024, ' ');
      response.writeHead(200, { 'content-type': 'application/json', 'x-consul-index': '5' });
      const more = () => {
        while (!response.destroyed && response.write(chunk)) sent += chunk.length;
      };
      response.on('drain', more);
      more();
    });
    await expectAll({ addresses: [server.address], requestTimeout: 20_000 }, 'bad-response', /more than/);
    expect(sent).toBeLessThan(6 * 24 * 1024 * 1024);
  });
});

describe('connections that break', () => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-consul-index: 5\r\n';
  const afterRequest = (answer: (socket: Socket) => void) => (socket: Socket) =>
    socket.once('data', () => answer(socket));

  it.each<[string, (socket: Socket) => void, SyncErrorCode, RegExp]>([
    ['at once', (socket) => socket.destroy(), 'unavailable', /not reached/],
    ['after the request', afterRequest((socket) => socket.resetAndDestroy()), 'unavailable', /not reached/],
    [
      'reset in the middle of the body',
      afterRequest((socket) =>
        socket.write(`${head}content-length: 99\r\n\r\n[{`, () => socket.resetAndDestroy()),
      ),
      'unavailable',
      /in the middle/,
    ],
    [
      'truncated body',
      afterRequest((socket) => socket.end(`${head}content-length: 99\r\n\r\n[{`)),
      'unavailable',
      /in the middle/,
    ],
    [
      'truncated chunk',
      afterRequest((socket) => socket.end(`${head}transfer-encoding: chunked\r\n\r\n63\r\n[{`)),
      'unavailable',
      /in the middle/,
    ],
    ['no HTTP', afterRequest((socket) => socket.end('SSH-2.0-OpenSSH\r\n')), 'bad-response', /not HTTP/],
  ])(
    'FAULTS 8: a connection that breaks, %s: a typed error to every call',
    async (_, onConnection, code, says) => {
      await using server = await fakeTcp(onConnection);
      const began = performance.now();
      await expectAll({ addresses: [server.address], requestTimeout: 20_000 }, code, says);
      expect(performance.now() - began, 'not by the deadline').toBeLessThan(slowed(10_000));
    },
  );

  it('an agent that never answers ends by the deadline', async () => {
    await using server = await fakeTcp(() => {});
    await expectAll({ addresses: [server.address], requestTimeout: 150 }, 'unavailable', /within 150 ms/);
  });

  it('a body that stops half-way ends by the deadline', async () => {
    await using server = await fakeTcp(
      afterRequest((socket) => socket.write(`${head}content-length: 99\r\n\r\n[{`)),
    );
    await expectAll({ addresses: [server.address], requestTimeout: 150 }, 'unavailable', /within 150 ms/);
  });

  it('nobody there', async () => {
    await using server = await fakeTcp(() => {});
    const { port } = server;
    await server[Symbol.asyncDispose]();
    await expectAll({ port }, 'unavailable', /ECONNREFUSED.*is the agent running there/);
  });
});

describe('several addresses', () => {
  it('moves on from an agent that is not there, without the caller noticing', async () => {
    await using gone = await fakeTcp(() => {});
    await gone[Symbol.asyncDispose]();
    await using backend = consul({ addresses: [gone.address, inject('consulAddress')] });
    const key = uniquePrefix();
    await put(backend, `${key}a`, '1');
    await backend.commit({ when: [], then: [{ remove: `${key}a` }] }, signal());
  });

  it('does not send again what may have been sent, and asks the next agent the next time', async () => {
    let requests = 0;
    await using broken = await fakeHttp((request) => {
      requests++;
      request.socket.destroy();
    });
    await using backend = consul({ addresses: [broken.address, inject('consulAddress')] });
    const commit = () => put(backend, `${uniquePrefix()}a`, '1');
    await failure(commit(), 'unavailable');
    expect(requests).toBe(1);
    const key = `${uniquePrefix()}a`;
    await put(backend, key, '1');
    expect(requests).toBe(1);
    await backend.commit({ when: [], then: [{ remove: key }] }, signal());
  });
});

describe('indexes that mislead', () => {
  it.each(['0', '3', 'falling', 'rising'])(
    'FAULTS 21: index %s: fewer than 10 requests a second, and still a wake',
    async (kind) => {
      let requests = 0;
      let body = '';
      await using server = await fakeHttp((_, response) => {
        requests++;
        const index = kind === 'falling' ? 1_000 - requests : kind === 'rising' ? requests : kind;
        const status = body === '' ? 404 : 200;
        response.writeHead(status, { 'x-consul-index': index, 'content-type': 'application/json' }).end(body);
      });
      await using backend = consul({ addresses: [server.address] });
      const { at } = await backend.query({ key: 'a' }, { signal: signal() });
      // As seen at an index that no later answer is above, so that only a change of the record wakes.
      const since = at.replace(/^\d+/, '9999');
      const woken = backend.query({ key: 'a' }, { since, wait: 60_000, signal: signal() });
      const began = performance.now();
      requests = 0;
      await until('some requests', () => requests >= 12);
      const elapsed = (performance.now() - began) / 1000;
      expect(requests / Math.max(1, elapsed)).toBeLessThan(10);
      body =
        '[{"Key":"a","Value":"eA==","Flags":18446744073709551615,"CreateIndex":7,"ModifyIndex":9007199254740993}]';
      const changed = performance.now();
      const { records } = await woken;
      expect(performance.now() - changed).toBeLessThan(slowed(2_000));
      expect(records).toMatchObject([{ key: 'a', revision: 9007199254740993n, created: 7n }]);
      expect(records[0]?.foreign).toContain('ffffffffffffffff');
    },
  );
});
