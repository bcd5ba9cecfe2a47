import { TcpProxy } from 'holdfast/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EtcdOptions, etcd } from '../../src/backends/etcd/index.ts';
import { type EtcdServer, startEtcd } from '../servers/etcd.ts';
import { type Certificate, Certificates } from './certificates.ts';
import { never, put } from './support.ts';

/** With a CA of its own the server asks every client for a certificate, whatever `--client-cert-auth` says. */
const NO_CLIENT_CERTIFICATE = ['--trusted-ca-file='];

describe('TLS', () => {
  let certificates: Certificates;
  let ca: Certificate;
  let otherCa: Certificate;
  let client: Certificate;
  let server: EtcdServer;
  let strict: EtcdServer;
  let plain: EtcdServer;

  beforeAll(async () => {
    certificates = await Certificates.create();
    [ca, otherCa] = await Promise.all([certificates.authority(), certificates.authority()]);
    const own = await certificates.issue(ca, 'IP:127.0.0.1,DNS:localhost');
    client = await certificates.issue(ca, 'DNS:client');
    const tls = { certFile: own.certFile, keyFile: own.keyFile, trustedCaFile: ca.certFile };
    [server, strict, plain] = await Promise.all([
      startEtcd({ tls, args: NO_CLIENT_CERTIFICATE }),
      startEtcd({ tls: { ...tls, clientCertAuth: true } }),
      startEtcd(),
    ]);
  });

  afterAll(async () => {
    for (const one of [server, strict, plain, certificates]) await one?.[Symbol.asyncDispose]();
  });

  async function outcome(options: EtcdOptions): Promise<unknown> {
    await using backend = etcd(options);
    return await put(backend, 'a').catch((error: unknown) => error);
  }

  it('connects with the right CA, by address and by name', async () => {
    expect(await outcome({ hosts: server.url, tls: { ca: ca.cert } })).toMatchObject({ ok: true });
    const byName = server.url.replace('127.0.0.1', 'localhost');
    expect(await outcome({ hosts: byName, tls: { ca: Buffer.from(ca.cert) } })).toMatchObject({ ok: true });
  });

  it('carries sessions and waits', async () => {
    await using backend = etcd({ hosts: server.url, tls: { ca: ca.cert } });
    const session = await backend.openSession({ name: 'test', ttl: 5_000, lockDelay: 0 }, never);
    expect(await backend.renewSession(session.id, never)).toBe('renewed');
    const { at } = await backend.query({ key: 'b' }, { signal: never });
    const waiting = backend.query({ key: 'b' }, { since: at, signal: never });
    await put(backend, 'b');
    expect(await waiting).toMatchObject({ records: [{ key: 'b' }] });
    await backend.closeSession(session.id, never);
  });

  it('shows a client certificate where one is asked for', async () => {
    const { cert, key } = client;
    expect(await outcome({ hosts: strict.url, tls: { ca: ca.cert, cert, key } })).toMatchObject({ ok: true });
  });

  it.each([
    ['another CA', () => ({ hosts: server.url, tls: { ca: otherCa.cert } })],
    ['only the public CAs', () => ({ hosts: server.url })],
    ['no client certificate where one is asked for', () => ({ hosts: strict.url, tls: { ca: ca.cert } })],
    ['a server that speaks no TLS', () => ({ hosts: `https://${plain.address}`, tls: { ca: ca.cert } })],
  ])('is refused as insecure with %s', async (_, options) => {
    const error = await outcome(options());
    expect(error).toMatchObject({ name: 'SyncError', code: 'insecure' });
    expect(String(error)).toMatch(/no TLS connection to etcd at 127\.0\.0\.1:\d+ \(.+\): check the CA/);
  });

  it.each([
    ['another name', 'DNS:elsewhere', 2],
    ['a certificate that has expired', 'IP:127.0.0.1', -1],
  ])('is refused as insecure with %s', async (_, subjectAltName, days) => {
    const { certFile, keyFile } = await certificates.issue(ca, subjectAltName, days);
    // The health check is plain, so that the server is ready with any certificate.
    await using own = await startEtcd({
      tls: { certFile, keyFile, trustedCaFile: ca.certFile },
      args: NO_CLIENT_CERTIFICATE,
    });
    expect(await outcome({ hosts: own.url, tls: { ca: ca.cert } })).toMatchObject({ code: 'insecure' });
  });

  it('is not fallen back from, nor is plain text answered on a TLS port', async () => {
    expect(await outcome({ hosts: server.address })).toMatchObject({ name: 'SyncError' });
  });

  it('tells a network that is down from a TLS that is wrong', async () => {
    const proxy = await TcpProxy.open(server.address);
    const { address } = proxy;
    await proxy[Symbol.asyncDispose]();
    const error = await outcome({ hosts: `https://${address}`, tls: { ca: ca.cert } });
    expect(error).toMatchObject({ code: 'unavailable' });
  });
});
