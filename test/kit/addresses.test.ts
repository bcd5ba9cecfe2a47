import { describe, expect, test } from 'vitest';
import { addressOf, hostProblem, socketPathOf } from '../../src/backends/kit/addresses.ts';
import { SyncError } from '../../src/contract/errors.ts';

const invalid = (option: string, problem: string) =>
  new SyncError('invalid-option', `"${option}" ${problem}`);
const parse = (address: unknown) =>
  addressOf('addresses', address, { plain: 80, secure: 443 }, 'a:80', invalid);

describe('addresses', () => {
  test.each<[string, string, number, boolean | undefined]>([
    ['h', 'h', 80, undefined],
    ['h:1', 'h', 1, undefined],
    ['http://h', 'h', 80, false],
    ['https://h', 'h', 443, true],
    ['HTTPS://h:80/', 'h', 80, true],
    ['http://h:443', 'h', 443, false],
    ['[::1]', '[::1]', 80, undefined],
    ['[::1]:65535', '[::1]', 65_535, undefined],
  ])('%s', (address, host, port, secure) => {
    expect(parse(address)).toEqual({ host, port, secure });
  });

  test.each<[unknown]>([
    [''],
    [42],
    [undefined],
    ['http://'],
    ['h:0'],
    ['h:65536'],
    ['h:secret'],
    ['user:secret@h:1'],
    ['http://user:secret@h'],
    ['ftp://h/secret'],
    ['h/secret'],
    ['h?secret'],
    ['h#secret'],
    ['a b'],
    ['::1'],
  ])('%s is refused by the name of the option, and not repeated', (address) => {
    expect(() => parse(address)).toThrow('"addresses" must');
    expect(() => parse(address)).not.toThrow('secret');
  });
});

describe('addresses of sockets', () => {
  test.each([
    ['unix:///run/a.sock', '/run/a.sock'],
    ['unix:/run/a.sock', '/run/a.sock'],
    ['UNIX:///a', '/a'],
    ['h:1', undefined],
    ['http://unix/', undefined],
    [42, undefined],
  ])('%s', (address, path) => {
    expect(socketPathOf('addresses', address, invalid)).toBe(path);
  });

  test.each(['unix:secret', 'unix://', 'unix://secret/a', 'unix:///a\0b'])('%s is refused', (address) => {
    expect(() => socketPathOf('addresses', address, invalid)).toThrow('"addresses" must hold sockets');
    expect(() => socketPathOf('addresses', address, invalid)).not.toThrow('secret');
  });
});

test.each([
  ['h', true],
  ['10.0.0.1', true],
  ['::1', true],
  ['[::1]', true],
  ['', false],
  ['a/b', false],
  ['a:1', false],
  ['user@h', false],
  [42, false],
])('%s is a host: %s', (host, isHost) => {
  expect(hostProblem(host) === undefined).toBe(isHost);
});
