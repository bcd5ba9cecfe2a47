import { type SyncEvent, SyncManager } from 'holdfast';
import { memory } from 'holdfast/memory';
import { describe, expect, test } from 'vitest';
import { got, settle, setUp, watch } from './faulty.ts';

const never = (): Promise<never> => new Promise(() => {});

describe.each(['queue', 'race'] as const)('C9: work that does not end (%s)', (contention) => {
  test('is told once, of scoped grants, and one that ends in time is not', async () => {
    const { clock, make } = setUp(contention);
    const lines: string[] = [];
    const write = (line: string) => void lines.push(line);
    const logger = { debug: () => {}, info: () => {}, warn: write, error: write };
    const sync = make(undefined, { longHold: 10_000, logger });
    const events: SyncEvent[] = [];
    sync.events$.subscribe((event) => event.type === 'lock-held-long' && events.push(event));
    void sync.withLock('stuck', never).catch(() => undefined);
    await settle(clock, sync.leadershipLock().lock());
    const quick = await settle(clock, sync.acquire('quick'));
    await clock.advance(9_000);
    await settle(clock, quick.release());
    await clock.advance(60_000);
    expect(events).toEqual([
      { type: 'lock-held-long', key: 'stuck', token: expect.any(BigInt), ms: expect.any(Number) },
    ]);
    const { ms } = events[0] as { ms: number };
    expect(ms).toBeGreaterThanOrEqual(10_000);
    expect(ms).toBeLessThan(13_000);
    expect(lines).toEqual([expect.stringMatching(/^svc: holds the lock "stuck", token \d+, for 1\d s now$/)]);
    await settle(clock, sync.stop());
    expect(clock.pending).toBe(0);
  });

  test('is looked for only while something is held', async () => {
    const { clock, make } = setUp(contention);
    const sync = make(undefined, { longHold: 10_000 });
    await settle(clock, (await settle(clock, sync.acquire('k'))).release());
    await clock.advance(10_000);
    const idle = clock.pending;
    const never = make(undefined, { longHold: Number.POSITIVE_INFINITY });
    await settle(clock, (await settle(clock, never.acquire('l'))).release());
    await clock.advance(10_000);
    // As many as where nothing is ever looked for.
    expect(clock.pending - idle).toBe(idle);
    await settle(clock, Promise.all([sync.stop(), never.stop()]));
  });

  test('leaves no timer when the manager stops under a grant that has a bound', async () => {
    const { clock, make } = setUp(contention);
    const sync = make();
    await settle(clock, sync.acquire('k', { maxHold: 60_000 }));
    await settle(clock, sync.stop());
    expect(clock.pending).toBe(0);
  });

  test('keeps nobody out beyond its own `maxHold`: the next in line and other processes get it, with larger tokens', async () => {
    const { clock, store, make } = setUp(contention);
    const [sync, other] = [make(), make()];
    let aborted: unknown;
    const stuck = watch(
      sync.withLock(
        'k',
        ({ signal }) => {
          signal.addEventListener('abort', () => {
            aborted = signal.reason;
          });
          return never();
        },
        { maxHold: 5_000 },
      ),
    );
    await clock.advance(10);
    const next = watch(sync.acquire('k'));
    const rival = watch(other.acquire('k'));
    await clock.advance(4_900);
    expect([next.done, rival.done, aborted]).toEqual([false, false, undefined]);
    await clock.advance(200);
    expect(aborted).toMatchObject({ code: 'lost', message: expect.stringContaining('max-hold') });
    await clock.advance(1_000);
    const first = next.done ? next : rival;
    expect(got(first).held).toBe(true);
    await settle(clock, got(first).release());
    await clock.advance(1_000);
    expect([next.done, rival.done]).toEqual([true, true]);
    expect(stuck.done).toBe(false);
    await settle(clock, Promise.all([sync.stop(), other.stop()]));
    expect(store.records()).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('`maxHold` ends with the grant, and a proof of it is refused once the record is gone', async () => {
    const { clock, make } = setUp(contention);
    const sync = make();
    const done = await settle(clock, sync.acquire('k', { maxHold: 1_000 }));
    await settle(clock, done.release());
    expect(done.ended).toBe('released');
    const timers = clock.pending;
    const late = await settle(clock, sync.acquire('k', { maxHold: 1_000 }));
    await clock.advance(1_500);
    expect([late.held, late.ended]).toEqual([false, 'max-hold']);
    const result = await settle(
      clock,
      sync.commit({ when: [late.isOwner], then: [{ put: 'data', value: new Uint8Array() }] }),
    );
    expect(result.ok).toBe(false);
    await settle(clock, late.release());
    await clock.advance(30_000);
    expect(clock.pending).toBeLessThanOrEqual(timers);
    await settle(clock, sync.stop());
  });
});

test('C9: bad bounds are refused by name', async () => {
  const make = (longHold: number) => new SyncManager({ name: 'svc', backend: memory(), longHold });
  expect(() => make(0)).toThrow(expect.objectContaining({ message: expect.stringContaining('"longHold"') }));
  await using sync = make(Number.POSITIVE_INFINITY);
  await expect(sync.acquire('k', { maxHold: -1 })).rejects.toMatchObject({
    code: 'invalid-option',
    message: expect.stringContaining('"maxHold"'),
  });
});
