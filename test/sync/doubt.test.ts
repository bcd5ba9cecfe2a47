import { SyncError } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { got, settle, setUp, watch } from './faulty.ts';

const TTL = 10_000;

describe.each(['queue', 'race'] as const)('%s: a step of the wall clock', (contention) => {
  function doubting() {
    const { clock, make, pause } = setUp(contention);
    const line = { down: false };
    const sync = make((request, pass) =>
      request.verb === 'renewSession' && line.down
        ? Promise.reject(new SyncError('unavailable', 'no network yet'))
        : pass(),
    );
    return { clock, line, sync, pause };
  }

  test('C1: work that is done while the session is in doubt was not lost', async () => {
    const { clock, line, sync, pause } = doubting();
    const work = watch(sync.withLock('k', () => pause(100).then(() => 'done')));
    await clock.advance(50);
    line.down = true;
    clock.jumpWall(1_500);
    await clock.advance(2_000);
    expect(work.done).toBe(false);
    line.down = false;
    await clock.advance(2_000);
    expect(work).toMatchObject({ done: true, value: 'done' });
    await settle(clock, sync.stop());
  });

  test('C1: and work that was lost is told so at the deadline', async () => {
    const { clock, line, sync, pause } = doubting();
    const work = watch(sync.withLock('k', () => pause(100)));
    await clock.advance(50);
    line.down = true;
    clock.jumpWall(1_500);
    await clock.advance(TTL);
    expect(work).toMatchObject({ done: true, code: 'lost' });
    await settle(clock, sync.stop());
  });

  test('C1: `assertHeld()` says which of the two it is', async () => {
    const { clock, line, sync } = doubting();
    const acquired = watch(sync.acquire('k'));
    await clock.advance(10);
    const grant = got(acquired);
    expect([grant.held, grant.suspended]).toEqual([true, false]);
    line.down = true;
    clock.jumpWall(1_500);
    expect(() => grant.assertHeld()).toThrow(expect.objectContaining({ code: 'suspended' }));
    expect([grant.held, grant.suspended, grant.signal.aborted]).toEqual([false, true, false]);
    line.down = false;
    await clock.advance(2_000);
    expect(() => grant.assertHeld()).not.toThrow();
    expect([grant.held, grant.suspended]).toEqual([true, false]);
    line.down = true;
    clock.jumpWall(1_500);
    expect(grant.suspended).toBe(true);
    await clock.advance(TTL);
    expect(() => grant.assertHeld()).toThrow(expect.objectContaining({ code: 'lost' }));
    expect(grant.suspended).toBe(false);
    await settle(clock, sync.stop());
  });

  test('C6: with `abortOnDoubt` it is a loss, told at once', async () => {
    const { clock, make } = setUp(contention);
    const line = { down: false };
    const sync = make(
      (request, pass) => (request.verb === 'renewSession' && line.down ? new Promise(() => {}) : pass()),
      { session: { ttl: TTL, lockDelay: 0, abortOnDoubt: true } },
    );
    const lost: string[] = [];
    sync.leadershipLock().lost$.subscribe(({ reason }) => lost.push(reason));
    const first = await settle(clock, sync.leadershipLock().lock());
    line.down = true;
    clock.jumpWall(1_500);
    expect(first.held).toBe(false);
    await clock.advance(1);
    expect([first.signal.aborted, lost]).toEqual([true, ['doubt']]);
    line.down = false;
    const second = await settle(clock, sync.leadershipLock().lock());
    expect(second.token).toBeGreaterThan(first.token);
    await settle(clock, sync.stop());
  });

  test('C6: is told wherever belief is told', async () => {
    const { clock, line, sync } = doubting();
    const states: string[] = [];
    const leads: boolean[] = [];
    sync.leadershipLock().state$.subscribe(({ name }) => states.push(name));
    sync.leadership.isLeader$.subscribe((value) => leads.push(value));
    let terms = 0;
    sync.leadership.whileLeader(async ({ signal, grant }) => {
      terms += 1;
      expect(grant.suspended).toBe(false);
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    });
    await clock.advance(100);
    line.down = true;
    clock.jumpWall(1_500);
    expect(sync.leadership.isLeader).toBe(false);
    await clock.advance(10);
    expect([states.at(-1), leads.at(-1), sync.health().ready, sync.health().leader]).toEqual([
      'suspended',
      false,
      false,
      false,
    ]);
    line.down = false;
    await clock.advance(2_000);
    expect([states.at(-1), leads.at(-1), sync.leadership.isLeader, terms]).toEqual(['held', true, true, 1]);
    await settle(clock, sync.stop());
    expect(states).toEqual(['idle', 'seeking', 'held', 'suspended', 'held', 'releasing', 'idle', 'stopped']);
  });
});
