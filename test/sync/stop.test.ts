import { describe, expect, test } from 'vitest';
import { type Fault, isRemoval, settle, setUp } from './faulty.ts';

const MANY = 500;
const AT_ONCE = 64;

describe.each(['queue', 'race'] as const)('stop() with many locks, %s', (contention) => {
  /** Each removal takes a second. */
  function slow() {
    const { clock, store, make, pause } = setUp(contention);
    const removals = { underWay: 0, most: 0, keys: [] as string[] };
    const fault: Fault = async (request, pass) => {
      if (!isRemoval(request)) return await pass();
      removals.most = Math.max(removals.most, ++removals.underWay);
      if (request.verb === 'commit') removals.keys.push(request.commit.when[0]?.key ?? '');
      try {
        await pause(1_000);
        return await pass();
      } finally {
        removals.underWay--;
      }
    };
    const sync = make(fault);
    const hold = () =>
      settle(
        clock,
        Promise.all(
          Array.from({ length: MANY }, (_, n) => (n % 2 ? sync.acquire(`${n}`) : sync.lock(`${n}`).lock())),
        ),
      );
    return { clock, store, sync, removals, hold };
  }

  test('ends all grants before it tells of any, and removes a bounded number at a time', async () => {
    const { clock, store, sync, removals, hold } = slow();
    const grants = await hold();
    const heldWhenTold: number[] = [];
    sync.events$.subscribe(({ type }) => {
      if (type === 'lock-released') heldWhenTold.push(grants.filter(({ held }) => held).length);
    });
    // Long enough for all of them to be watched.
    await clock.advance(200);
    expect(store.waiting).toBeGreaterThanOrEqual(MANY);
    const stopped = sync.stop({ timeout: 60_000 });
    await clock.advance(0);
    expect(heldWhenTold).toEqual(Array(MANY).fill(0));
    expect(grants.every(({ signal }) => signal.aborted)).toBe(true);
    expect(store.waiting).toBe(0);
    expect(removals.underWay).toBe(AT_ONCE);
    await settle(clock, stopped);
    expect([removals.most, removals.keys.length, new Set(removals.keys).size]).toEqual([AT_ONCE, MANY, MANY]);
    expect([store.records(), store.sessions(), clock.pending]).toEqual([[], [], 0]);
  });

  test('whose leader is the last to end does not keep the next leader waiting for all of them', async () => {
    const { clock, store, sync, removals, hold } = slow();
    sync.leadership.whileLeader(
      ({ signal }) =>
        new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => void clock.after(1_500, resolve), { once: true }),
        ),
    );
    await hold();
    await clock.runUntil(() => sync.leadership.isLeader);
    const stopped = sync.stop({ timeout: 60_000 });
    const isLeft = () => store.records().some(({ key }) => key.includes('leadership'));
    await clock.runUntil(() => !isLeft());
    // Of about eight rounds, the second.
    expect(removals.keys.length).toBeLessThan(4 * AT_ONCE);
    await settle(clock, stopped);
    expect([store.records(), store.sessions(), clock.pending]).toEqual([[], [], 0]);
  });

  test('gives up in time what is still in line, which then goes with the session', async () => {
    const { clock, store, sync, removals, hold } = slow();
    await hold();
    await settle(clock, sync.stop({ timeout: 2_500 }));
    expect(removals.keys.length).toBeLessThan(MANY);
    expect([store.records(), store.sessions(), clock.pending]).toEqual([[], [], 0]);
  });
});
