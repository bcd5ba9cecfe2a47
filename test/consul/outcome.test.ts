import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { consul } from 'holdfast/consul';
import { describe, expect, inject, test } from 'vitest';
import { ExchangeError } from '../../src/backends/consul/client.ts';
import { type Answer, exchangeError, statusError } from '../../src/backends/consul/errors.ts';
import { isSyncError, type RequestOutcome, type SyncErrorCode } from '../../src/contract/errors.ts';
import { live } from '../scenarios/world.ts';
import { expired } from './certificates.ts';
import { failure, fakeHttp, fakeTcp, listen, put, uniquePrefix } from './support.ts';

const network = (code: string, syscall?: string) => Object.assign(new Error(code), { code, syscall });

describe('A5: what is known of a request when the network fails', () => {
  test.each<[RequestOutcome, SyncErrorCode, Error]>([
    ['refused', 'unavailable', network('ECONNREFUSED', 'connect')],
    ['refused', 'unavailable', network('ETIMEDOUT', 'connect')],
    ['refused', 'unavailable', network('ENOTFOUND', 'getaddrinfo')],
    ['refused', 'insecure', network('SELF_SIGNED_CERT_IN_CHAIN')],
    ['refused', 'insecure', network('UNABLE_TO_VERIFY_LEAF_SIGNATURE')],
    ['refused', 'insecure', network('CERT_HAS_EXPIRED')],
    ['refused', 'insecure', network('ERR_TLS_CERT_ALTNAME_INVALID')],
    [
      'refused',
      'unavailable',
      Object.assign(new AggregateError([network('ECONNREFUSED', 'connect')]), { code: 'ECONNREFUSED' }),
    ],
    ['unknown', 'insecure', network('EPROTO', 'write')],
    ['unknown', 'insecure', network('ERR_SSL_WRONG_VERSION_NUMBER')],
    ['unknown', 'insecure', network('ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC')],
    ['unknown', 'insecure', network('ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC')],
    ['unknown', 'unavailable', network('ECONNRESET', 'read')],
    ['unknown', 'unavailable', network('EPIPE', 'write')],
    ['unknown', 'unavailable', network('ETIMEDOUT', 'read')],
    ['unknown', 'unavailable', new Error('socket hang up')],
    ['unknown', 'bad-response', network('HPE_INVALID_CONSTANT')],
    ['unknown', 'unavailable', new ExchangeError('timeout', 'no answer within 5 ms')],
    ['unknown', 'unavailable', new ExchangeError('cut-short', 'the connection broke in the middle')],
    ['unknown', 'bad-response', new ExchangeError('too-large', 'more than 5 bytes')],
  ])('%s: %s, %s', (outcome, code, error) => {
    expect(exchangeError(error, '10.0.0.1:8500')).toMatchObject({ code, outcome });
  });
});

const TEXT = 'text/plain; charset=utf-8';

describe('A5: what is known of a request by the status of its answer', () => {
  test.each<[RequestOutcome, SyncErrorCode, number, string, string | undefined]>([
    ['refused', 'permission-denied', 403, 'Permission denied', TEXT],
    ['refused', 'permission-denied', 403, 'rpc error making call: Permission denied', undefined],
    ['refused', 'permission-denied', 403, 'ACL not found', TEXT],
    ['refused', 'rejected', 400, 'Failed to parse body: unexpected EOF', TEXT],
    ['refused', 'insecure', 400, 'Client sent an HTTP request to an HTTPS server.\n', undefined],
    ['refused', 'value-too-large', 413, 'Request body(600000 bytes) too large, max size: 524288 bytes', TEXT],
    ['refused', 'value-too-large', 413, 'Request body too large, max size: 524288 bytes.', TEXT],
    ['refused', 'value-too-large', 413, 'Transaction contains too many operations (65 > 64)', TEXT],
    ['refused', 'value-too-large', 413, 'Value for key "a" is too large (600000 > 524288 bytes)', TEXT],
    ['unknown', 'permission-denied', 403, 'Forbidden', TEXT],
    ['unknown', 'permission-denied', 403, '<html>Permission denied</html>', 'text/html'],
    ['unknown', 'permission-denied', 401, 'Permission denied', TEXT],
    ['unknown', 'permission-denied', 407, 'Permission denied', TEXT],
    ['unknown', 'permission-denied', 500, 'ACL not found', TEXT],
    ['unknown', 'permission-denied', 500, 'rpc error making call: Permission denied', TEXT],
    ['unknown', 'rejected', 400, '400 Bad Request', TEXT],
    ['unknown', 'rejected', 400, '<html>Failed to parse body</html>', 'text/html'],
    ['unknown', 'unavailable', 404, 'Failed to parse body', TEXT],
    ['unknown', 'unavailable', 405, 'Method Not Allowed', TEXT],
    ['unknown', 'unavailable', 500, 'Missing node registration', TEXT],
    ['unknown', 'rejected', 409, '', 'application/json'],
    ['unknown', 'value-too-large', 413, '<html>413 Request Entity Too Large</html>', 'text/html'],
    ['unknown', 'value-too-large', 413, '', undefined],
    ['unknown', 'unavailable', 429, 'Too many requests', TEXT],
    ['unknown', 'unavailable', 500, 'No cluster leader', TEXT],
    ['unknown', 'unavailable', 502, 'Bad Gateway', TEXT],
    ['unknown', 'unavailable', 503, '', undefined],
    ['unknown', 'bad-response', 301, 'Permission denied', TEXT],
  ])('%s: %s, %i %s', (outcome, code, status, text, type) => {
    const answer: Answer = {
      status,
      headers: type === undefined ? {} : { 'content-type': type },
      body: Buffer.from(text),
      address: '10.0.0.1:8500',
      token: undefined,
    };
    expect(statusError(answer)).toMatchObject({ code, outcome });
  });
});

describe('A5: what is known of a commit', () => {
  const refusing = (status: number, body: string, type: string) =>
    fakeHttp((_, response) => response.writeHead(status, { 'content-type': type }).end(body));

  test('that is told by the list of errors of its transaction', async () => {
    const errors = (What: string) => JSON.stringify({ Results: null, Errors: [{ OpIndex: 0, What }] });
    for (const [what, code] of [
      ['Permission denied', 'permission-denied'],
      ['something new', 'rejected'],
    ] as const) {
      await using server = await refusing(409, errors(what), 'application/json');
      await using backend = consul({ addresses: [server.address] });
      const error = await failure(put(backend, 'a', '1'), code);
      expect(error.outcome).toBe('refused');
    }
  });

  test.each(['{}', '{"Results":null,"Errors":null}', '{"Results":null,"Errors":[]}'])(
    'several that are told a conflict without a reason are not sent again: %s',
    async (body) => {
      let requests = 0;
      await using server = await fakeHttp((_, response) => {
        requests += 1;
        response.writeHead(409, { 'content-type': 'application/json' }).end(body);
      });
      await using backend = consul({ addresses: [server.address] });
      const calls = ['a', 'b', 'c'].map((key) => failure(put(backend, key, '1'), 'rejected'));
      expect((await Promise.all(calls)).map(({ outcome }) => outcome)).toEqual(calls.map(() => 'unknown'));
      expect(requests).toBe(1);
    },
  );

  test.each([
    ['a status that anybody could have made up', 403, 'Forbidden', 1],
    ['a page in place of an answer', 404, 'not found', 1],
    ["the server's own word", 403, 'Permission denied', 4],
  ] as const)('several that are refused by %s', async (_, status, text, expected) => {
    let requests = 0;
    await using server = await fakeHttp((_request, response) => {
      requests += 1;
      response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
    });
    await using backend = consul({ addresses: [server.address] });
    const calls = ['a', 'b', 'c'].map((key) => put(backend, key, '1').catch((error: unknown) => error));
    const outcomes = (await Promise.all(calls)).map((error) => isSyncError(error) && error.outcome);
    expect(outcomes).toEqual(calls.map(() => (expected > 1 ? 'refused' : 'unknown')));
    expect(requests).toBe(expected);
  });

  test('that reads first, and does not get that far', async () => {
    await using server = await fakeTcp((socket: Socket) => socket.once('data', () => socket.destroy()));
    await using backend = consul({ addresses: [server.address] });
    const unowned = { when: [{ key: 'a', is: 'unowned' }], then: [{ remove: 'a' }] } as const;
    expect(await failure(backend.commit(unowned, live), 'unavailable')).toMatchObject({ outcome: 'refused' });
    const plain = { when: [], then: [{ remove: 'a' }] };
    expect(await failure(backend.commit(plain, live), 'unavailable')).toMatchObject({ outcome: 'unknown' });
    expect(await failure(backend.query({ key: 'a' }, { signal: live }), 'unavailable')).toMatchObject({
      outcome: 'refused',
    });
  });

  test('to a server with a certificate that does not do', async () => {
    let requests = 0;
    await using server = await listen(
      createServer(expired, (_, response) => {
        requests += 1;
        response.end();
      }),
    );
    await using backend = consul({ addresses: [`https://${server.address}`] });
    expect(await failure(put(backend, 'a', '1'), 'insecure')).toMatchObject({ outcome: 'refused' });
    expect(requests).toBe(0);
  });

  test('that is cut off by the disposal, and of one that comes after it', async () => {
    await using server = await fakeHttp(() => {});
    const backend = consul({ addresses: [server.address] });
    const cut = failure(put(backend, 'a', '1'), 'stopped');
    await new Promise((resolve) => setImmediate(resolve));
    await backend[Symbol.asyncDispose]();
    expect(await cut).toMatchObject({ outcome: 'unknown' });
    expect(await failure(put(backend, 'a', '1'), 'stopped')).toMatchObject({ outcome: 'refused' });
  });

  test('that is refused before any I/O', async () => {
    await using backend = consul({ addresses: [inject('consulAddress')] });
    const value = new Uint8Array(500_000);
    for (const [then, code] of [
      [[{ remove: '/a' }], 'invalid-key'],
      [[{ remove: 'a' }, { remove: 'a' }], 'invalid-option'],
      [[{ put: 'a', value }], 'value-too-large'],
      [Array.from({ length: 65 }, (_, n) => ({ remove: `a${n}` })), 'invalid-option'],
    ] as const) {
      expect(await failure(backend.commit({ when: [], then }, live), code)).toMatchObject({
        outcome: 'refused',
      });
    }
    expect(
      await failure(backend.openSession({ name: 'n', ttl: 1, lockDelay: 0 }, live), 'invalid-option'),
    ).toMatchObject({ outcome: 'refused' });
  });

  test('that is applied', async () => {
    await using backend = consul({ addresses: [inject('consulAddress')] });
    const key = `${uniquePrefix()}a`;
    expect(await put(backend, key, '1')).toBeGreaterThan(0n);
    await backend.commit({ when: [], then: [{ remove: key }] }, live);
  });
});
