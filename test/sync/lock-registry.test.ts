import { setTimeout as sleep } from 'node:timers/promises';
import { type Lock, type LockLoss, SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import type { Observable } from 'rxjs';
import { describe, expect, test, vi } from 'vitest';
import { LockRegistry } from '../../src/sync/callers/lock-registry.ts';
import { collect } from '../soak/levels.ts';
import { withVerbs } from '../with-verbs.ts';

function setUp() {
  const store = new MemoryStore();
  const sync = new SyncManager({ name: 'svc', backend: memory({ store }) });
  const loseAll = () => {
    for (const { id } of store.sessions()) store.destroySession(id);
  };
  return { store, sync, loseAll };
}

/** Whether it goes in some round. What has to stay is looked at after as many. */
async function isGone(seen: WeakRef<object>, rounds = 20): Promise<boolean> {
  for (let round = 0; round < rounds; round++) {
    await sleep(5);
    collect();
    if (seen.deref() === undefined) return true;
  }
  return false;
}

/** In a function of its own, whose variables are gone when it has ended. */
async function used(sync: SyncManager, key: string, use: (lock: Lock) => unknown): Promise<WeakRef<Lock>> {
  const lock = sync.lock(key);
  await use(lock);
  return new WeakRef(lock);
}

const takeAndRelease = async (lock: Lock): Promise<void> => {
  await lock.lock();
  await lock.release();
};

describe('D1: a lock that nobody can tell of', () => {
  test('is forgotten: never asked for, released, listened to no more, or lost and released', async () => {
    const { sync, loseAll } = setUp();
    const gone = [
      await used(sync, 'idle', () => {}),
      await used(sync, 'released', takeAndRelease),
      await used(sync, 'no longer listened to', async (lock) => {
        const subscriptions = [
          lock.state$.subscribe(),
          lock.lost$.subscribe(),
          { unsubscribe: lock.onGranted(() => {}) },
        ];
        await takeAndRelease(lock);
        for (const subscription of subscriptions) subscription.unsubscribe();
      }),
      await used(sync, 'lost', async (lock) => {
        const grant = await lock.lock();
        loseAll();
        await vi.waitUntil(() => !grant.held);
        await lock.release();
      }),
    ];
    for (const seen of gone) expect(await isGone(seen)).toBe(true);
    await sync.stop();
  });

  test('is forgotten together with its key', async () => {
    const registry = new LockRegistry<{ readonly name: string }>();
    const stays = { name: 'stays' };
    registry.add('stays', stays);
    for (let n = 0; n < 1_000; n++) registry.add(`${n}`, { name: `${n}` });
    expect(registry.size).toBe(1_001);
    await vi.waitUntil(() => {
      collect();
      return registry.size === 1;
    });
    expect([...registry]).toEqual([stays]);
    expect(registry.get('stays')).toBe(stays);
  });

  test('does not take along the one that came after it', async () => {
    const registry = new LockRegistry<object>();
    const seen = (() => {
      const first = {};
      registry.add('k', first);
      return new WeakRef(first);
    })();
    // The first goes; told of or not, the key belongs to the second.
    await vi.waitUntil(() => {
      collect();
      return seen.deref() === undefined;
    });
    const second = {};
    registry.add('k', second);
    for (let round = 0; round < 5; round++) {
      await sleep(5);
      collect();
    }
    expect(registry.get('k')).toBe(second);
  });
});

describe('D1: a lock that somebody can tell of is the same for ever', () => {
  test('for who has it, with its metadata', async () => {
    const { store, sync } = setUp();
    const lock = sync.lock('k', { metadata: 'mine' });
    await isGone(new WeakRef(lock), 5);
    expect(sync.lock('k')).toBe(lock);
    await sync.lock('k').lock();
    expect(store.records().map(({ value }) => Buffer.from(value).toString())).toEqual(['"mine"']);
    await sync.stop();
  });

  test('while it is claimed', async () => {
    const { sync, loseAll } = setUp();
    const seen = await used(sync, 'k', (lock) => lock.lock());
    expect(await isGone(seen, 5)).toBe(false);
    expect([sync.lock('k').held, sync.health().held]).toEqual([true, 1]);
    // It is got back.
    const token = sync.lock('k').grant?.token ?? 0n;
    loseAll();
    await vi.waitUntil(() => (sync.lock('k').grant?.token ?? 0n) > token);
    await sync.stop();
  });

  test('while it is being released', async () => {
    const inner = memory();
    let finish: (() => void) | undefined;
    const backend = withVerbs(inner, {
      commit: async (commit, signal) => {
        if (commit.then.some((mutation) => mutation.remove !== undefined)) {
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
        }
        return await inner.commit(commit, signal);
      },
    });
    const sync = new SyncManager({ name: 'svc', backend });
    const releasing: Promise<void>[] = [];
    const seen = await used(sync, 'k', async (lock) => {
      await lock.lock();
      releasing.push(lock.release());
    });
    expect(await isGone(seen, 5)).toBe(false);
    await vi.waitUntil(() => finish !== undefined);
    finish?.();
    await Promise.all(releasing.splice(0));
    expect(await isGone(seen)).toBe(true);
    await sync.stop();
  });

  test('for who has nothing but a subscription', async () => {
    const { sync, loseAll } = setUp();
    const losses: LockLoss[] = [];
    const states: string[] = [];
    const subscribe = () => {
      sync.lock('k').lost$.subscribe((loss) => losses.push(loss));
      sync
        .lock('s')
        .state$.subscribe({ next: ({ name }) => states.push(name), complete: () => states.push('complete') });
      return [new WeakRef(sync.lock('k')), new WeakRef(sync.lock('s'))];
    };
    for (const seen of subscribe()) expect(await isGone(seen, 5)).toBe(false);
    await sync.lock('k').lock();
    loseAll();
    await vi.waitUntil(() => losses.length === 1);
    expect(losses).toMatchObject([{ key: 'k', reason: 'record-gone' }]);
    await sync.stop();
    expect(states).toEqual(['idle', 'stopped', 'complete']);
  });

  test('for who has nothing but an observable of it', async () => {
    const { sync, loseAll } = setUp();
    const take = (): Observable<LockLoss> => sync.lock('k').lost$;
    const lost$ = take();
    await isGone(new WeakRef({}), 5);
    const losses: LockLoss[] = [];
    lost$.subscribe((loss) => losses.push(loss));
    await sync.lock('k').lock();
    loseAll();
    await vi.waitUntil(() => losses.length === 1);
    await sync.stop();
  });

  test('and stop() completes what is listened to later, once the last state was told', async () => {
    const { sync } = setUp();
    const lock = sync.lock('k');
    await sync.stop();
    const told: string[] = [];
    const observer = { next: () => told.push('next'), complete: () => told.push('complete') };
    lock.state$.subscribe(observer);
    lock.lost$.subscribe(observer);
    expect(told).toEqual(['next', 'complete', 'complete']);
  });
});
