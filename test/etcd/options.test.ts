import { Etcd3 } from 'etcd3';
import { describe, expect, it } from 'vitest';
import { type EtcdOptions, etcd } from '../../src/backends/etcd/index.ts';
import { resolveOptions } from '../../src/backends/etcd/options.ts';

const client = new Etcd3({ hosts: '127.0.0.1:1' });
const https = 'https://10.0.0.1:2379';

describe('options', () => {
  it.each<[string, string, unknown]>([
    ['hosts', 'an empty list', { hosts: [] }],
    ['hosts', 'an empty address', { hosts: '' }],
    ['hosts', 'a number', { hosts: [2379] }],
    ['hosts', 'another scheme', { hosts: 'ftp://10.0.0.1:2379' }],
    ['hosts', 'a path', { hosts: 'http://10.0.0.1:2379/v3' }],
    ['hosts', 'a port out of range', { hosts: '10.0.0.1:99999' }],
    ['hosts', 'credentials', { hosts: 'https://me:hunter2@10.0.0.1:2379' }],
    ['hosts', 'a mix', { hosts: [https, 'http://10.0.0.2:2379'] }],
    ['hosts', 'a client as well', { client, hosts: https }],
    ['username', 'a client as well', { client, username: 'a', password: 'hunter2' }],
    ['username', 'a password alone', { password: 'hunter2' }],
    ['username', 'an empty one', { username: '', password: 'hunter2' }],
    ['password', 'a username alone', { username: 'a' }],
    ['tls', 'plain hosts', { tls: {} }],
    ['tls', 'a certificate without its key', { hosts: https, tls: { cert: 'x' } }],
    ['tls', 'no PEM', { hosts: https, tls: { ca: 'hunter2', cert: 'hunter2', key: 'hunter2' } }],
    ['client', 'something else', { client: {} }],
    ['lockName', 'a string', { lockName: 'x' }],
    ...[0, -1, Number.NaN, Infinity, 2 ** 31, '5'].map(
      (requestTimeout) =>
        ['requestTimeout', String(requestTimeout), { requestTimeout }] as [string, string, unknown],
    ),
  ])('refuses "%s" with %s, by name and without a secret', (option, _, options) => {
    let error: unknown;
    try {
      etcd(options as EtcdOptions);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'invalid-option' });
    expect(String(error)).toContain(`etcd option "${option}"`);
    expect(String(error)).not.toContain('hunter2');
  });

  it.each([
    [undefined, ['127.0.0.1:2379'], false],
    ['etcd.example', ['etcd.example:2379'], false],
    ['http://etcd.example:80/', ['etcd.example:80'], false],
    [['https://a:1', 'https://b', 'https://a:1'], ['a:1', 'b:2379'], true],
    ['[::1]:2379', ['[::1]:2379'], false],
  ])('reads the hosts %j', (hosts, addresses, secure) => {
    const { via } = resolveOptions(hosts === undefined ? {} : { hosts });
    expect(via).toMatchObject({ dial: { addresses, secure } });
  });
});

describe('lockPath', () => {
  it.each([
    ['a', 'a/.lock/'],
    ['a/b', 'a/b/.lock/'],
    ['a.lock', 'a.lock/.lock/'],
    ['👩‍🚀', '👩‍🚀/.lock/'],
  ])('of %j is %j', (key, path) => {
    expect(etcd().lockPath(key)).toBe(path);
  });

  it.each(['', 'a/.lock', '.lock/a', 'a/.lock/b', '\ud800', 'a\0'])('refuses %j', (key) => {
    expect(() => etcd().lockPath(key)).toThrowError(expect.objectContaining({ code: 'invalid-key' }));
  });

  it('is the name that the caller gives, as other clients know it', () => {
    expect(etcd({ lockName: (key) => `go/${key}` }).lockPath('a/.lock')).toBe('go/a/.lock/');
    expect(() => etcd({ lockName: () => '' }).lockPath('a')).toThrowError(
      expect.objectContaining({ code: 'invalid-key' }),
    );
  });
});
