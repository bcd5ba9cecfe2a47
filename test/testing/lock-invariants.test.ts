import { LockInvariants, type LockInvariantsOptions } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';

const a = (token: number) => ({ client: 'a', token: BigInt(token) });
const b = (token: number) => ({ client: 'b', token: BigInt(token) });

/** What is told of, one event a millisecond, and which rules it breaks. */
function broken(tell: (lock: LockInvariants) => void, options: LockInvariantsOptions = {}): string[] {
  let now = 0;
  const lock = new LockInvariants({ now: () => now++, ...options });
  tell(lock);
  return lock.violations.map(({ rule }) => rule);
}

describe('invariants of a lock', () => {
  test('turns, hand-offs and takeovers are as they should be', () => {
    const turns = (lock: LockInvariants): void => {
      lock.believed([]);
      lock.granted(a(10));
      lock.believed([a(10)]);
      lock.accepted(a(10));
      lock.handedOn(a(11), 0);
      lock.granted(a(11));
      lock.accepted(a(11));
      lock.granted(b(20));
      lock.believed([b(20)]);
      lock.accepted(b(20));
    };
    expect(broken(turns)).toEqual([]);
  });

  test.each<[string, (lock: LockInvariants) => void]>([
    ['two believe that they hold', (lock) => lock.believed([a(10), b(20)])],
    [
      'a token of one client did not rise',
      (lock) => {
        lock.granted(a(10));
        lock.granted(b(20));
        lock.granted(a(5));
      },
    ],
    [
      'a token was given twice',
      (lock) => {
        lock.granted(a(10));
        lock.granted(b(10));
      },
    ],
    [
      'a token fell',
      (lock) => {
        lock.granted(a(10));
        lock.granted(b(9));
      },
    ],
    [
      'a stale write was accepted',
      (lock) => {
        lock.granted(a(10));
        lock.granted(b(20));
        lock.accepted(a(10));
      },
    ],
    [
      'handed on after it was gone',
      (lock) => {
        lock.granted(a(10));
        lock.granted(b(20));
        lock.handedOn(a(11), 50);
      },
    ],
  ])('%s', (rule, tell) => {
    expect(broken(tell)).toContain(rule);
  });

  test('who could not have heard yet may hand on', () => {
    const handOn = (told: number): string[] =>
      broken((lock) => {
        lock.granted(a(10));
        lock.granted(b(20));
        lock.handedOn(a(11), told);
      });
    // The other grant was seen at 1 ms.
    expect([handOn(1), handOn(2)]).toEqual([[], ['handed on after it was gone']]);
  });

  test('where operators interfere two may overlap, and nothing else', () => {
    const overlap = (lock: LockInvariants): void => {
      lock.granted(a(10));
      lock.granted(b(20));
      lock.believed([a(11), b(20)]);
      lock.granted(a(11));
    };
    expect(broken(overlap)).toEqual(['two believe that they hold', 'a token fell']);
    expect(broken(overlap, { operated: true })).toEqual([]);
    const worse = (lock: LockInvariants): void => {
      overlap(lock);
      lock.accepted(a(11));
      lock.granted(b(20));
    };
    expect(broken(worse, { operated: true })).toEqual([
      'a stale write was accepted',
      'a token of one client did not rise',
      'a token was given twice',
    ]);
  });

  test('of a store that went back each client knows its own tokens only', () => {
    const back = (lock: LockInvariants): void => {
      lock.granted(a(10));
      lock.granted(b(20));
      lock.restored();
      lock.granted(a(20));
      lock.believed([a(20), b(20)]);
      lock.accepted(a(15));
    };
    expect(broken(back)).toEqual([]);
    expect(broken((lock) => [back(lock), lock.granted(a(12))])).toEqual([
      'a token of one client did not rise',
    ]);
  });

  test('it is told when, and of whom', () => {
    const lock = new LockInvariants({ now: () => 42 });
    lock.believed([a(10), b(20)]);
    expect(lock.violations).toEqual([
      { rule: 'two believe that they hold', at: 42, detail: 'a (10) and b (20)' },
    ]);
  });
});
