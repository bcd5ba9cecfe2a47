import { Agent, createServer } from 'node:https';
import Consul from 'consul';
import { describe, expect, it } from 'vitest';
import { type ConsulOptions, consul } from '../../src/backends/consul/index.ts';
import { authority, expired, good, misnamed } from './certificates.ts';
import { failure, fakeHttp, listen, signal } from './support.ts';

const serve = (certificate: { cert: string; key: string }) =>
  listen(
    createServer(certificate, (_, response) => {
      response.writeHead(404, { 'x-consul-index': '7' }).end();
    }),
  );

const read = async (options: ConsulOptions) => {
  await using backend = consul(options);
  return await backend.query({ key: 'a' }, { signal: signal() });
};

describe('TLS', () => {
  it('talks to an agent whose certificate is right', async () => {
    await using server = await serve(good);
    expect(await read({ port: server.port, tls: { ca: authority } })).toMatchObject({ records: [] });
    expect(await read({ addresses: [`https://${server.address}`], tls: { ca: authority } })).toBeDefined();
  });

  it('takes over the settings of a ready-made client, also those of its agent', async () => {
    await using server = await serve(good);
    const agent = new Agent({ ca: authority });
    const client = new Consul({ host: '127.0.0.1', port: server.port, secure: true, agent });
    expect(await read({ client })).toBeDefined();
    await failure(read({ client: new Consul({ port: server.port, secure: true }) }), 'insecure');
  });

  it.each([
    ['an unknown authority', good, {}],
    ['an expired certificate', expired, { ca: authority }],
    ['the wrong name', misnamed, { ca: authority }],
    ['a name that was not asked for', good, { ca: authority, servername: 'elsewhere.test' }],
  ])('refuses %s', async (_, certificate, tls) => {
    await using server = await serve(certificate);
    const error = await failure(read({ port: server.port, secure: true, tls }), 'insecure');
    expect(error.message).toContain(`127.0.0.1:${server.port}`);
  });

  it('accepts another name when told so', async () => {
    await using server = await serve(misnamed);
    const tls = { ca: authority, servername: 'elsewhere.test' };
    expect(await read({ port: server.port, tls })).toBeDefined();
  });

  it('does not talk TLS to a plain port, and does not go back to plain text', async () => {
    let requests = 0;
    await using server = await fakeHttp((_, response) => {
      requests++;
      response.end();
    });
    await failure(read({ port: server.port, secure: true }), 'insecure');
    expect(requests).toBe(0);
  });
});
