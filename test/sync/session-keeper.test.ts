import { SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';
import type { Backend } from '../../src/contract/backend.ts';
import { SyncError } from '../../src/contract/errors.ts';
import { settle } from './faulty.ts';

const TTL = 10_000;
const MARGIN = 1_000;
const key = 'k';

type Renew = Backend['renewSession'];

/** A manager on a virtual clock, whose renewals the test decides on. */
function setUp(renew?: (real: Renew) => Renew) {
  const clock = new VirtualClock();
  const store = new MemoryStore({ clock });
  const backend = memory({ store });
  let renewals = 0;
  const real: Renew = backend.renewSession.bind(backend);
  const decided = renew?.(real) ?? real;
  backend.renewSession = (id, signal) => {
    renewals++;
    return decided(id, signal);
  };
  const session = { ttl: TTL, margin: MARGIN };
  const sync = new SyncManager({ name: 'svc', backend, clock, session });
  return { clock, store, sync, renewals: () => renewals };
}

const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

describe('the session and its deadline', () => {
  test('a renewed session is held for as long as it is renewed', async () => {
    const { clock, sync, renewals } = setUp();
    const grant = await settle(clock, sync.acquire(key));
    await clock.advance(10 * TTL);
    expect(grant.held).toBe(true);
    expect(renewals()).toBe(30);
    await settle(clock, sync.stop());
    expect(clock.pending).toBe(0);
  });

  test('without an answer it is lost at the deadline, and not a moment later', async () => {
    const { clock, sync } = setUp(() => (_, signal) => never(signal));
    const lock = sync.lock(key);
    const opened = clock.now();
    const grant = await settle(clock, lock.lock());
    const told: number[] = [];
    lock.lost$.subscribe(() => told.push(clock.now() - opened));
    await clock.advance(TTL - MARGIN - 1 - (clock.now() - opened));
    expect([grant.held, told.length]).toEqual([true, 0]);
    await clock.advance(1);
    expect(told).toEqual([TTL - MARGIN]);
    expect(grant.held).toBe(false);
    await settle(clock, sync.stop());
  });

  test('the deadline counts from before the request was sent, not from the answer', async () => {
    const { clock, sync } = setUp((real) => async (id, signal) => {
      const answer = await real(id, signal);
      await new Promise<void>((resolve) => void clock.after(1_500, resolve));
      return answer;
    });
    const opened = clock.now();
    const grant = await settle(clock, sync.acquire(key));
    // One renewal is sent at a third of the TTL and answered 1.5 s later; then the process sees nothing any more.
    await clock.advance(TTL / 3 + 1_500 - (clock.now() - opened));
    clock.stall(opened + TTL / 3 + TTL - MARGIN - clock.now() - 1);
    expect(grant.held).toBe(true);
    clock.stall(2);
    expect(grant.held).toBe(false);
    await settle(clock, sync.stop());
  });

  test('the first look after a stalled event loop says no, and a late renewal resurrects nothing', async () => {
    let answer: (() => void) | undefined;
    const { clock, sync } = setUp((real) => async (id, signal) => {
      const result = await real(id, signal);
      if (answer === undefined) await new Promise<void>((resolve) => (answer = resolve));
      return result;
    });
    const lock = sync.lock(key);
    const grant = await settle(clock, lock.lock());
    await clock.runUntil(() => answer !== undefined);
    clock.stall(TTL);
    expect(grant.held).toBe(false);
    answer?.();
    await clock.advance(0);
    expect(grant.held).toBe(false);
    expect(grant.signal.aborted).toBe(true);
    const again = await settle(clock, lock.lock());
    expect(again.token).toBeGreaterThan(grant.token);
    expect(grant.held).toBe(false);
    await settle(clock, sync.stop());
  });

  test('errors suspend, and are forgotten when a renewal gets through', async () => {
    let broken = false;
    const { clock, sync } = setUp((real) => async (id, signal) => {
      if (broken) throw new SyncError('unavailable', 'no route');
      return await real(id, signal);
    });
    const lock = sync.lock(key);
    const states: string[] = [];
    sync.session$.subscribe(({ name }) => states.push(name));
    const lost: unknown[] = [];
    lock.lost$.subscribe((loss) => lost.push(loss));
    const grant = await settle(clock, lock.lock());
    broken = true;
    await clock.advance(TTL / 2);
    expect(grant.held).toBe(true);
    broken = false;
    await clock.advance(TTL);
    expect(states).toEqual(['idle', 'opening', 'live', 'suspended', 'live']);
    expect([grant.held, lost.length]).toEqual([true, 0]);
    await settle(clock, sync.stop());
  });

  test('a machine that slept is not believed until a renewal has verified the session', async () => {
    const { clock, sync, renewals } = setUp();
    const grant = await settle(clock, sync.acquire(key));
    clock.jumpWall(3_600_000);
    expect(grant.held).toBe(false);
    expect(grant.signal.aborted).toBe(false);
    await clock.advance(0);
    expect([grant.held, renewals()]).toEqual([true, 1]);
    clock.jumpWall(-7_200_000);
    expect(grant.held).toBe(true);
    await clock.advance(100);
    expect([grant.held, renewals()]).toEqual([true, 1]);
    await settle(clock, sync.stop());
  });

  test('a refused renewal is repeated at most once a second', async () => {
    const { clock, sync, renewals } = setUp(() => async () => {
      throw new SyncError('permission-denied', 'token revoked');
    });
    const grant = await settle(clock, sync.acquire(key));
    await clock.advance(TTL / 3);
    expect(renewals()).toBe(1);
    await clock.advance(3_000);
    expect(renewals()).toBeLessThanOrEqual(4);
    expect(grant.held).toBe(true);
    await clock.advance(TTL);
    expect(grant.held).toBe(false);
    await settle(clock, sync.stop());
  });

  test('a store that went back in time grants nothing any more, and says so', async () => {
    const { clock, store, sync } = setUp();
    for (let round = 0; round < 5; round++) {
      const grant = await settle(clock, sync.acquire(key));
      await settle(clock, grant.release());
    }
    store.wipe();
    await expect(settle(clock, sync.acquire(key))).rejects.toMatchObject({ code: 'store-reset' });
    await expect(settle(clock, sync.acquire('other'))).rejects.toMatchObject({ code: 'store-reset' });
    await clock.advance(1_000);
    expect(store.records()).toEqual([]);
    await settle(clock, sync.stop());
    expect(clock.pending).toBe(0);
  });
});
