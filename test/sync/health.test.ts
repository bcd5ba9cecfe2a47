import { type Grant, type Lock, SyncError, SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { expect, test, vi } from 'vitest';
import { Lock as LockClass } from '../../src/sync/callers/lock.ts';
import { QUIET } from '../quiet.ts';
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
  const nothing = {
    trustedFor: 0,
    held: 0,
    waiting: 0,
    standing: 0,
    leader: false,
    blindSince: undefined,
    trouble: undefined,
  };
  expect(sync.health()).toEqual({ ...nothing, ready: false, session: 'idle' });

  const asked = sync.leadershipLock().lock();
  await clock.advance(200);
  expect(sync.health()).toEqual({
    ...nothing,
    ready: false,
    session: 'opening',
    waiting: 1,
    standing: 1,
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
    waiting: 0,
    standing: 1,
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
  expect(second.health()).toMatchObject({ held: 0, waiting: 3, standing: 1 });
  await settle(clock, (grants[0] as (typeof grants)[0]).release());
  await clock.advance(100);
  expect(first.health()).toMatchObject({ held: 2, waiting: 1 });
  expect(second.health()).toMatchObject({ held: 1, waiting: 2, standing: 1 });
  await settle(clock, Promise.all([first.stop(), second.stop()]));
  await refused;
  expect([first, second].map((sync) => sync.health().held)).toEqual([0, 0]);
});

test('D1: health looks at no lock, however many there are', async () => {
  const { clock, make } = setUp('queue');
  const sync = make();
  const locks = Array.from({ length: 500 }, (_, number) => sync.lock(`${number}`));
  await settle(clock, Promise.all(locks.slice(0, 100).map((lock) => lock.lock())));
  // Counted, and not timed.
  const looks = (['held', 'claimed', 'grant'] as const).map((name) =>
    vi.spyOn(LockClass.prototype, name, 'get'),
  );
  expect(sync.health()).toMatchObject({ held: 100, waiting: 0 });
  expect(looks.reduce((sum, { mock }) => sum + mock.calls.length, 0)).toBeLessThan(10);
  vi.restoreAllMocks();
  await settle(clock, sync.stop());
});

test.each(['queue', 'race'] as const)(
  'D1: what is counted is what is so, whatever happened (%s)',
  async (contention) => {
    const { clock, store, make } = setUp(contention);
    const [sync, rival] = [make(), make()];
    const keys = ['a', 'b', 'c'];
    const locks: Lock[] = keys.map((key) => sync.lock(key));
    const grants: Grant[] = [];
    const open = new Set<object>();
    const counted = async (call: Promise<unknown>): Promise<void> => {
      open.add(call);
      await call.catch(() => undefined);
      open.delete(call);
    };
    const acquire = (by: SyncManager, key: string): void => {
      const call = {};
      if (by === sync) open.add(call);
      const over = (): boolean => open.delete(call);
      by.acquire(key).then((grant) => {
        over();
        grants.push(grant);
      }, over);
    };
    let seed = 1;
    const draw = (below: number): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed % below;
    };
    const ways = new Set<string>();
    for (let step = 0; step < 600; step++) {
      const key = keys[draw(keys.length)] as string;
      const lock = sync.lock(key);
      const actions: (() => unknown)[] = [
        () => counted(lock.tryLock()),
        () => counted(lock.lock({ timeout: 50 })),
        () => lock.release(),
        () => acquire(sync, key),
        () => acquire(rival, key),
        () => grants.splice(draw(grants.length + 1), 1)[0]?.release(),
        () =>
          store.sessions().length > 0 && draw(4) === 0 && store.destroySession(store.sessions()[0]?.id ?? ''),
        // In doubt: nothing is held until it is verified.
        () => draw(4) === 0 && clock.jumpWall(1_500),
      ];
      actions[draw(actions.length)]?.();
      await clock.advance(draw(3) === 0 ? 200 : 5);
      const standing = locks.filter(({ claimed, held }) => claimed && !held).length;
      expect(sync.health()).toMatchObject({ waiting: open.size, standing });
      for (const { claimed, held } of locks) ways.add(`${claimed} ${held}`);
    }
    expect(ways).toEqual(new Set(['false false', 'true false', 'true true']));
    await settle(clock, Promise.all([sync.stop(), rival.stop()]));
    expect(sync.health()).toMatchObject({ waiting: 0, standing: 0 });
  },
);

test('who ends an observation on hearing of its trouble is not blind afterwards', async () => {
  const store = new MemoryStore();
  const backend = faulty(memory({ store }), ({ verb }, pass) =>
    verb === 'query' ? Promise.reject(new SyncError('unavailable', 'no server')) : pass(),
  );
  await using sync = new SyncManager({ name: 'svc', backend, logger: QUIET });
  const watching = sync.observe('k').subscribe();
  const ended = new Promise<void>((resolve) => {
    sync.events$.subscribe(({ type }) => {
      if (type !== 'trouble') return;
      watching.unsubscribe();
      resolve();
    });
  });
  await ended;
  // After what the trouble is told by.
  await new Promise((resolve) => setImmediate(resolve));
  expect(sync.health().blindSince).toBeUndefined();
});

test('a lock whose metadata cannot be written leaves nothing of its key behind', async () => {
  const store = new MemoryStore();
  const metadata = { n: 1n } as never;
  await using sync = new SyncManager({ name: 'svc', backend: memory({ store }), metadata, logger: QUIET });
  await expect(sync.lock('k').lock()).rejects.toMatchObject({ code: 'invalid-option' });
  // Else it is refused as a lock that this process waits for.
  expect(await sync.commit({ then: [{ put: 'k', value: 'v' }] })).toMatchObject({ ok: true });
});
