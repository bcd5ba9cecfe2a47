import type { RequestOutcome } from 'holdfast';
import { describe, expect, it } from 'vitest';
import {
  failureOf,
  isRefusal,
  isTokenRefused,
  syncErrorOf,
  wasNeverSent,
} from '../../src/backends/etcd/errors.ts';

const notConnected = (last: string) => `No connection established. Last error: ${last}. Resolution note: `;

/** Texts as etcd 3.5.16 and grpc-js 1.14 gave them. */
describe('errors', () => {
  it.each<[string, number, string]>([
    ['unavailable', 14, notConnected('Error: connect ECONNREFUSED 127.0.0.1:1')],
    ['unavailable', 14, notConnected('null')],
    ['unavailable', 14, 'Name resolution failed for target dns:nosuch.invalid:2379'],
    ['unavailable', 14, 'etcdserver: no leader'],
    ['unavailable', 14, 'etcdserver: request timed out'],
    ['unavailable', 14, 'Connection dropped'],
    ['unavailable', 4, 'Deadline exceeded'],
    ['unavailable', 1, 'Cancelled on client'],
    ['insecure', 14, notConnected('Error: self-signed certificate in certificate chain')],
    ['insecure', 14, notConnected('Error: unable to verify the first certificate')],
    ['insecure', 14, notConnected("Error: Hostname/IP does not match certificate's altnames: IP: 127.0.0.1")],
    ['insecure', 14, notConnected('Error: certificate has expired')],
    [
      'insecure',
      14,
      notConnected('Error: Client network socket disconnected before secure TLS connection was established'),
    ],
    [
      'insecure',
      14,
      notConnected('809C:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../x.c:1:'),
    ],
    ['permission-denied', 7, 'etcdserver: permission denied'],
    ['permission-denied', 16, 'etcdserver: invalid auth token'],
    ['permission-denied', 3, 'etcdserver: user name is empty'],
    ['permission-denied', 3, 'etcdserver: authentication failed, invalid user ID or password'],
    ['value-too-large', 3, 'etcdserver: request is too large'],
    ['value-too-large', 8, 'grpc: received message larger than max (3072872 vs. 2097152)'],
    ['unavailable', 8, 'etcdserver: mvcc: database space exceeded'],
    ['unavailable', 8, 'etcdserver: too many requests'],
    ['unavailable', 2, 'etcdserver: request cancelled'],
    ['bad-response', 13, 'Received RST_STREAM with code 2 (Internal server error)'],
    ['bad-response', 8, 'Bandwidth exhausted or memory limit exceeded'],
    ['bad-response', 2, 'Received HTTP status code 500'],
    ['rejected', 11, 'etcdserver: too large lease TTL'],
    ['rejected', 12, 'unknown service etcdserverpb.KV'],
    // Of a load balancer, and no word of etcd: it may pass.
    ['bad-response', 12, 'Received HTTP status code 404'],
    ['bad-response', 12, 'Received HTTP status code 405'],
    ['bad-response', 7, 'Received HTTP status code 403'],
    ['bad-response', 16, 'Received HTTP status code 401'],
    ['bad-response', 7, 'RBAC: access denied'],
    ['unavailable', 14, 'Received HTTP status code 503'],
  ])('%s: %i %s', (code, status, details) => {
    const error = syncErrorOf({ code: status, details }, '10.0.0.1:2379');
    expect(error).toMatchObject({ code, cause: { message: details } });
    expect(error.message).toContain('10.0.0.1:2379');
    expect(error.message).not.toMatch(/\n|Resolution note|null|SSL routines/);
  });

  it('know a request that cannot have left from one that may have', () => {
    expect(wasNeverSent({ code: 14, details: notConnected('x') })).toBe(true);
    expect(wasNeverSent(failureOf(new Error('Channel has been shut down')))).toBe(true);
    expect(wasNeverSent({ code: 14, details: 'Connection dropped' })).toBe(false);
    expect(wasNeverSent({ code: 4, details: notConnected('x') })).toBe(false);
  });

  it('know a token that is to be renewed from a permission that is missing', () => {
    expect(isTokenRefused({ code: 16, details: 'etcdserver: invalid auth token' })).toBe(true);
    expect(isTokenRefused({ code: 3, details: 'etcdserver: revision of auth store is old' })).toBe(true);
    expect(isTokenRefused({ code: 7, details: 'etcdserver: permission denied' })).toBe(false);
  });

  it.each<[boolean, number, string]>([
    [true, 5, 'etcdserver: requested lease not found'],
    [true, 7, 'etcdserver: permission denied'],
    [true, 3, 'etcdserver: request is too large'],
    [false, 8, 'etcdserver: mvcc: database space exceeded'],
    [false, 8, 'etcdserver: too many requests'],
    [false, 2, 'etcdserver: request cancelled'],
    [false, 8, 'Bandwidth exhausted or memory limit exceeded'],
    [true, 8, 'grpc: received message larger than max (3072872 vs. 2097152)'],
    [false, 14, 'etcdserver: request timed out'],
    [false, 14, 'etcdserver: leader changed'],
    [false, 13, 'Received RST_STREAM with code 2 (Internal server error)'],
    [false, 8, 'Received message larger than max (70000000 vs 67108864)'],
    [true, 12, 'unknown service etcdserverpb.KV'],
    // A proxy's, which may have passed it on.
    [false, 12, 'Received HTTP status code 404'],
    [false, 14, 'Connection dropped'],
  ])('take it for the word of the server that nothing was done: %s, for %i %s', (isSo, code, details) => {
    expect(isRefusal({ code, details })).toBe(isSo);
  });

  it.each<[RequestOutcome, number, string]>([
    ['refused', 14, notConnected('Error: connect ECONNREFUSED 127.0.0.1:1')],
    ['refused', 14, notConnected('Error: self-signed certificate in certificate chain')],
    ['refused', 14, notConnected('nothing within 3000 ms')],
    ['refused', 14, 'Name resolution failed for target dns:nosuch.invalid:2379'],
    ['refused', 14, 'Channel has been shut down'],
    ['refused', 7, 'etcdserver: permission denied'],
    ['refused', 16, 'etcdserver: invalid auth token'],
    ['refused', 3, 'etcdserver: user name is empty'],
    ['refused', 3, 'etcdserver: request is too large'],
    ['refused', 3, 'etcdserver: duplicate key given in txn request'],
    ['refused', 8, 'grpc: received message larger than max (3072872 vs. 2097152)'],
    ['refused', 12, 'unknown service etcdserverpb.KV'],
    ['unknown', 14, 'Connection dropped'],
    ['unknown', 14, 'read ECONNRESET'],
    ['unknown', 14, 'write EPROTO 809C:error:1408F119:SSL routines:ssl3_get_record:bad record mac'],
    ['unknown', 14, 'nothing within 3000 ms'],
    ['unknown', 14, 'etcdserver: request timed out'],
    ['unknown', 14, 'etcdserver: leader changed'],
    ['unknown', 4, 'Deadline exceeded'],
    ['unknown', 1, 'Cancelled on client'],
    ['unknown', 8, 'etcdserver: mvcc: database space exceeded'],
    ['unknown', 2, 'etcdserver: request cancelled'],
    ['unknown', 8, 'Received message larger than max (70000000 vs 67108864)'],
    ['unknown', 8, 'Bandwidth exhausted or memory limit exceeded'],
    ['unknown', 7, 'Received HTTP status code 403'],
    ['unknown', 16, 'Received HTTP status code 401'],
    ['unknown', 12, 'Received HTTP status code 404'],
    ['unknown', 2, 'Received HTTP status code 301'],
    ['unknown', 13, 'Received RST_STREAM with code 2 (Internal server error)'],
  ])('A5: what is known of the request: %s, for %i %s', (outcome, code, details) => {
    expect(syncErrorOf({ code, details }, '10.0.0.1:2379').outcome).toBe(outcome);
  });

  it("read the client's typed errors, which keep the status in the message only", () => {
    expect(failureOf(new TypeError('14 UNAVAILABLE: no luck'))).toEqual({ code: 14, details: 'no luck' });
    expect(failureOf(new Error('something else'))).toEqual({ code: 2, details: 'something else' });
    expect(failureOf('a string')).toEqual({ code: 2, details: 'a string' });
  });
});
