import { expect, test } from 'vitest';
import { reasonOf } from './npm.ts';

test.each([
  [
    'npm error code ENOTFOUND\nnpm error syscall getaddrinfo\n',
    1,
    'the npm registry cannot be reached (ENOTFOUND)',
  ],
  ['npm error code ETARGET\nnpm error notarget No matching version\n', 1, 'notarget No matching version'],
  ['', null, 'npm did not end within 240 s'],
  ['something else\n', 7, 'npm ended with 7'],
])('E10: why an install failed is told in a few words: %j', (stderr, code, reason) => {
  expect(reasonOf({ code, stderr })).toBe(reason);
});
