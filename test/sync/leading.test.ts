import { describe, expect, test } from 'vitest';
import { settle, setUp } from './faulty.ts';

describe.each(['queue', 'race'] as const)('C8: leading (%s)', (contention) => {
  const pair = () => {
    const { clock, make, pause } = setUp(contention);
    return { clock, pause, a: make(), b: make() };
  };

  test('work that fails at once gives leadership to another process, and is begun again ever more seldom', async () => {
    const { clock, a, b, pause } = pair();
    const terms: number[] = [];
    a.leadership.whileLeader(() => {
      terms.push(clock.now());
      throw new Error('no disk');
    });
    await clock.advance(100);
    let worked = 0;
    b.leadership.whileLeader(async () => {
      worked += 1;
      await pause(100);
      await b.leadership.stepDown({ pause: 100, grace: 0 });
    });
    await clock.advance(300_000);
    expect(worked).toBeGreaterThan(100);
    const pauses = terms.slice(1).map((at, n) => at - (terms[n] ?? 0));
    // 1 s, 2, 4, 8, 16, 32, and then each minute; and until the other one has given way.
    expect(terms.length).toBeLessThanOrEqual(10);
    for (const [n, ms] of pauses.entries())
      expect(ms).toBeGreaterThanOrEqual(Math.min(60_000, 1_000 * 2 ** n));
    await settle(clock, Promise.all([a.stop(), b.stop()]));
  });

  test('`retry` begins it again in the same term, and `stay` leaves it at that', async () => {
    const { clock, a, b } = pair();
    const tokens: bigint[] = [];
    a.leadership.whileLeader(
      ({ token }) => {
        tokens.push(token);
        throw new Error('not yet');
      },
      { onFailure: 'retry' },
    );
    let stayed = 0;
    a.leadership.whileLeader(
      () => {
        stayed += 1;
        throw new Error('never mind');
      },
      { onFailure: 'stay' },
    );
    b.leadership.stand();
    await clock.advance(10_000);
    expect([tokens.length, new Set(tokens).size, stayed]).toEqual([4, 1, 1]);
    expect([a.leadership.isLeader, b.leadership.isLeader]).toEqual([true, false]);
    await settle(clock, Promise.all([a.stop(), b.stop()]));
  });

  test('work that ended well, or lasted, has no failures behind it', async () => {
    const { clock, a, pause } = pair();
    const begun: number[] = [];
    a.leadership.whileLeader(async () => {
      begun.push(clock.now());
      await pause(61_000);
      throw new Error('after a minute');
    });
    await clock.advance(200_000);
    for (const [n, at] of begun.slice(1).entries()) expect(at - (begun[n] ?? 0)).toBeLessThan(61_000 + 1_500);
    await settle(clock, a.stop());
  });

  test('whoever releases the lock after stepping down does not lead again', async () => {
    const { clock, a } = pair();
    a.leadership.stand();
    await clock.advance(10);
    await settle(clock, a.leadership.stepDown({ pause: 1_000 }));
    await settle(clock, a.leadership.lock.release());
    await clock.advance(60_000);
    expect([a.leadership.lock.claimed, a.leadership.isLeader]).toEqual([false, false]);
    // In the other order it is the same, and so it is while it steps down.
    a.leadership.stand();
    await clock.advance(10);
    const stepping = a.leadership.stepDown({ pause: 1_000 });
    void a.leadership.lock.release();
    await settle(clock, stepping);
    await clock.advance(60_000);
    expect(a.leadership.isLeader).toBe(false);
    a.leadership.stand();
    await clock.advance(10);
    expect(a.leadership.isLeader).toBe(true);
    await settle(clock, a.stop());
  });

  test('steps down for good, until it is asked again', async () => {
    const { clock, a } = pair();
    a.leadership.stand();
    await clock.advance(10);
    await settle(clock, a.leadership.stepDown({ pause: Number.POSITIVE_INFINITY, grace: 0 }));
    await clock.advance(86_400_000);
    expect([a.leadership.isLeader, await a.leadership.ask()]).toEqual([false, undefined]);
    a.leadership.stand();
    await clock.advance(10);
    expect(a.leadership.isLeader).toBe(true);
    await settle(clock, a.stop());
  });

  test('options that are none are refused by name', () => {
    const { a } = pair();
    expect(() => a.leadership.whileLeader(() => {}, { onFailure: 'explode' as never })).toThrow(
      /"onFailure" must be one of/,
    );
  });
});
