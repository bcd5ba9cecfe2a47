import { expect, test } from 'vitest';
import type { StoredRecord } from '../../src/contract/backend.ts';
import { type OwnPut, OwnPuts } from '../../src/sync/manager/own-puts.ts';

const put = (key: string, over: OwnPut['over'] = 'nothing'): OwnPut => ({ key, session: 's', over });
const record = (key: string, revision: bigint, session = 's'): StoredRecord => ({
  key,
  value: new Uint8Array(),
  session,
  created: revision,
  revision,
});

function begun(most?: number): OwnPuts {
  const puts = new OwnPuts(most);
  puts.begin('s');
  return puts;
}

const look = (puts: OwnPuts, key: string, revision?: bigint, session?: string) =>
  puts.look(key, revision === undefined ? undefined : record(key, revision, session), puts.mark);

test('A6: of a put without an answer, the lowest of several says how old its record cannot be', () => {
  const puts = begun();
  puts.failed(put('k'), 20n);
  puts.failed(put('k'), 30n);
  expect(look(puts, 'k', 20n)).toBe(20n);
  expect(look(puts, 'k', 21n)).toBeUndefined();
});

test('A6: a put that may come late does not make an older record of before one of ours', () => {
  const puts = begun();
  puts.failed(put('k'), 20n);
  puts.applied(put('k'), 40n);
  puts.removed('k');
  puts.unclear(put('k'), 50n);
  expect(look(puts, 'k', 40n)).toBe(40n);
  expect(look(puts, 'k', 41n)).toBeUndefined();
});

test('A6: a put over a record may leave it as it was', () => {
  const puts = begun();
  puts.failed(put('k', 10n), 20n);
  expect(look(puts, 'k', 15n)).toBe(20n);
  expect(look(puts, 'k', 10n)).toBeUndefined();
});

test('A6: a record of ours never gets older, and may be written over', () => {
  const puts = begun();
  puts.applied(put('k'), 10n);
  puts.unclear(put('k'), 20n);
  expect(look(puts, 'k', 9n)).toBe(10n);
  expect(look(puts, 'k', 15n)).toBeUndefined();
});

test('A6: what was put without a condition says nothing', () => {
  const puts = begun();
  const unconditioned: OwnPut = { key: 'k', session: 's', over: undefined };
  puts.failed(unconditioned, 20n);
  expect(look(puts, 'k', 1n)).toBeUndefined();
});

test('A6: a look that began before the last change says nothing', () => {
  const puts = begun();
  puts.applied(put('k'), 10n);
  const { mark } = puts;
  puts.removed('k');
  puts.applied(put('k'), 21n);
  expect(puts.look('k', record('k', 10n), mark)).toBeUndefined();
  expect(look(puts, 'k', 10n)).toBe(21n);
});

test('A6: nothing is remembered of what is gone, nor beyond the session', () => {
  const puts = begun();
  for (let n = 0; n < 1_000; n++) {
    const key = `k${n}`;
    if (n % 3 === 0) puts.unclear(put(key), BigInt(n));
    else puts.applied(put(key), BigInt(n + 1));
    if (n % 3 === 1) puts.removed(key);
    else look(puts, key, 2_000n, 'another');
  }
  expect(puts.size).toBe(0);
  puts.failed(put('k'), 20n);
  puts.begin('next');
  expect(puts.size).toBe(0);
  puts.failed(put('k'), 20n);
  puts.unclear(put('k'), 20n);
  puts.applied(put('k'), 21n);
  expect(puts.size).toBe(0);
});

test('A6: what is forgotten for want of room takes no record of ours for an old one', () => {
  const puts = begun(2);
  for (const [n, key] of ['a', 'b', 'c', 'd'].entries()) {
    puts.failed(put(key), BigInt(20 + n));
  }
  expect(puts.size).toBe(2);
  // Applied late, at 25, and found by another put.
  puts.unclear(put('a'), 30n);
  expect(look(puts, 'a', 25n)).toBeUndefined();
  expect(look(puts, 'c', 22n)).toBe(22n);
});
