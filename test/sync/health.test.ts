import { SyncError, SyncManager } from 'holdfast';
import { memory } from 'holdfast/memory';
import { expect, test } from 'vitest';
import { faulty, settle, setUp } from './faulty.ts';

const session = { ttl: 10_000, lockDelay: 0, margin: 1_000 };

test('health follows the session, and asks nobody', async () => {
  const { clock, store } = setUp('queue');
  let down = true;
  let requests = 0;
  const backend = faulty(memory({ store }), (_, pass) => {
    requests += 1;
    return down ? Promise.reject(new SyncError('unavailable', 'no server')) : pass();
  });
  const sync = new SyncManager({ name: 'svc', backend, clock, session });
  const nothing = { trustedFor: 0, held: 0, waiting: 0, leader: false, trouble: undefined };
  expect(sync.health()).toEqual({ ...nothing, ready: true, session: 'idle' });

  const asked = sync.leadershipLock().lock();
  await clock.advance(200);
  expect(sync.health()).toEqual({
    ...nothing,
    ready: false,
    session: 'opening',
    waiting: 1,
    trouble: 'no server',
  });

  down = false;
  await clock.runUntil(() => sync.leadershipLock().held);
  await asked;
  const before = requests;
  const live = sync.health();
  expect(live).toMatchObject({
    ...nothing,
    ready: true,
    session: 'live',
    held: 1,
    leader: true,
    trustedFor: expect.any(Number),
  });
  expect(live.trustedFor).toBeGreaterThan(8_900);
  expect(live.trustedFor).toBeLessThanOrEqual(9_000);
  expect(JSON.parse(JSON.stringify(live))).toMatchObject({ ready: true });
  expect(requests).toBe(before);

  down = true;
  await clock.advance(6_000);
  // Not lost yet: it is believed in until the deadline.
  expect(sync.health()).toMatchObject({ ready: true, session: 'suspended', held: 1, trouble: 'no server' });
  await clock.advance(6_000);
  expect(sync.health()).toMatchObject({
    ready: false,
    session: 'opening',
    held: 0,
    leader: false,
    waiting: 1,
    trustedFor: 0,
  });

  down = false;
  await clock.runUntil(() => sync.leadershipLock().held);
  expect(sync.health()).toMatchObject({ ready: true, held: 1, trouble: undefined });
  const stopped = sync.stop();
  await clock.advance(10_000);
  await stopped;
  expect(sync.health()).toEqual({ ...nothing, ready: false, session: 'stopped' });
});

test('health counts what is held and who waits', async () => {
  const { clock, store } = setUp('queue');
  const make = () => new SyncManager({ name: 'svc', backend: memory({ store }), clock, session });
  const [first, second] = [make(), make()];
  const grants = await settle(clock, Promise.all(['a', 'b', 'c'].map((key) => first.acquire(key))));
  const waiting = [second.acquire('a'), second.acquire('a'), first.acquire('b'), second.lock('c').lock()];
  const refused = Promise.allSettled(waiting);
  await clock.advance(100);
  expect(first.health()).toMatchObject({ held: 3, waiting: 1 });
  expect(second.health()).toMatchObject({ held: 0, waiting: 3 });
  await settle(clock, (grants[0] as (typeof grants)[0]).release());
  await clock.advance(100);
  expect(first.health()).toMatchObject({ held: 2, waiting: 1 });
  expect(second.health()).toMatchObject({ held: 1, waiting: 2 });
  await settle(clock, Promise.all([first.stop(), second.stop()]));
  await refused;
  expect([first, second].map((sync) => sync.health().held)).toEqual([0, 0]);
});
