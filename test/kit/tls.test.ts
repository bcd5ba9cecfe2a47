import { expect, test } from 'vitest';
import { checkTls, TLS, type Tls } from '../../src/backends/kit/tls.ts';
import { SyncError } from '../../src/contract/errors.ts';
import { authority, expired, good } from '../consul/certificates.ts';

const invalid = (option: string, problem: string) =>
  new SyncError('invalid-option', `"${option}" ${problem}`);

test.each<[string, Tls]>([
  ['nothing', {}],
  ['an authority', { ca: authority }],
  ['an authority as bytes', { ca: Buffer.from(authority) }],
  ['who we are', { ...good }],
  ['both', { ca: authority, ...good }],
])('%s can be used', (_, tls) => {
  expect(() => checkTls(tls, TLS, invalid)).not.toThrow();
});

test.each<[string, object, RegExp]>([
  ['no object', 'pem' as unknown as object, /^"tls" must be an object/],
  ['a name that is none', { cert: good.cert, kye: good.key }, /^"tls.kye" is unknown: did you mean "key"/],
  ['a certificate alone', { cert: good.cert }, /^"tls" needs "cert" and "key" together/],
  ['a key alone', { key: good.key }, /^"tls" needs "cert" and "key" together/],
  ['no PEM', { ca: 'secret' }, /^"tls" has a "ca", "cert" or "key" that is not PEM/],
  ['a key of another', { cert: good.cert, key: expired.key }, /that do not belong together/],
])('%s is refused, and not repeated', (_, tls, says) => {
  expect(() => checkTls(tls as Tls, TLS, invalid)).toThrow(says);
  expect(() => checkTls(tls as Tls, TLS, invalid)).not.toThrow('secret');
});
