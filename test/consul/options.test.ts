import Consul from 'consul';
import { describe, expect, it } from 'vitest';
import { type ConsulOptions, consul } from '../../src/backends/consul/index.ts';
import { isSyncError } from '../../src/contract/errors.ts';

const refused = (options: object): string => {
  try {
    consul(options as ConsulOptions);
  } catch (error) {
    if (isSyncError(error, 'invalid-option')) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('options of consul()', () => {
  it.each<[string, object]>([
    ['port', { port: 0 }],
    ['port', { port: 65_536 }],
    ['port', { port: '8500' }],
    ['host', { host: '' }],
    ['host', { host: 'a/b' }],
    ['host', { host: 'h', addresses: ['h'] }],
    ['port', { port: 1, addresses: ['h'] }],
    ['addresses', { addresses: [] }],
    ['addresses', { addresses: ['http://user:secret@h:1'] }],
    ['addresses', { addresses: ['http://h:1/path'] }],
    ['addresses', { addresses: ['h:99999'] }],
    ['addresses', { addresses: [8500] }],
    ['addresses', { addresses: ['http://h'], secure: true }],
    ['tls', { addresses: ['http://h'], tls: { servername: 'x' } }],
    ['addresses', { addresses: ['unix://run/consul.sock'] }],
    ['addresses', { addresses: ['unix:///run/consul.sock'], secure: true }],
    ['tls', { addresses: ['unix:///run/consul.sock'], tls: { servername: 'x' } }],
    ['tls', { addresses: ['http://h'], tls: () => ({}) }],
    ['tls', { tls: { ca: 'no pem' } }],
    ['tls', { tls: { cert: 'alone' } }],
    ['tls', { tls: { servername: 'x' }, secure: false }],
    ['secure', { secure: 'yes' }],
    ['token', { token: 'se\ncret' }],
    ['token', { token: '' }],
    ['client', { client: {} }],
    ['client', { client: null }],
    ['host', { client: new Consul(), host: 'h' }],
    ['token', { client: new Consul(), token: 't' }],
    ['sessionTtlMin', { sessionTtlMin: 0 }],
    ['sessionTtlMin', { sessionTtlMin: Number.NaN }],
    ['requestTimeout', { requestTimeout: Number.POSITIVE_INFINITY }],
    ['maxConnections', { maxConnections: 7 }],
    ['maxConnections', { maxConnections: 8.5 }],
    ['lockFlags', { lockFlags: 5 }],
    ['lockFlags', { lockFlags: 0n }],
    ['lockFlags', { lockFlags: 2n ** 64n }],
    ['checks', { checks: 'serfHealth' }],
    ['datacenter', { datacenter: 'a/b' }],
    ['node', { node: '' }],
    ['node', { node: 1 }],
  ])('%s: %o', (option, options) => {
    expect(refused(options)).toContain(`consul option "${option}"`);
  });

  it('repeats no secret', () => {
    expect(refused({ addresses: ['http://user:secret@h:1'] })).not.toContain('secret');
    expect(refused({ token: 'se\ncret' })).not.toContain('cret');
  });

  it.each<object>([
    {},
    { host: '::1' },
    { host: 'consul.internal', port: 80, secure: true },
    { addresses: ['h', 'h:1', 'https://h', '[::1]:8500'] },
    { tls: { servername: 'x' } },
    { addresses: ['unix:///run/consul.sock', 'h'], node: 'n' },
    { token: () => 't', tls: async () => ({}) },
    { client: new Consul({ host: 'h' }) },
  ])('accepts %o', async (options) => {
    expect(refused(options)).toBe('accepted');
  });
});
