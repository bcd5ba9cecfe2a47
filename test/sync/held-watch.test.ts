import { type Backend, SyncError } from 'holdfast';
import { memory } from 'holdfast/memory';
import { describe, expect, test } from 'vitest';
import { losses } from '../scenarios/world.ts';
import { withVerbs } from '../with-verbs.ts';
import { setUp } from './faulty.ts';

const PATIENCE = 9_000;

type Watch = NonNullable<Backend['watch']>;

function world(watch: (clock: ReturnType<typeof setUp>['clock']) => Watch) {
  const { clock, store, make } = setUp('queue');
  let [watches, reads] = [0, 0];
  const inner = memory({ store });
  const place = watch(clock);
  const backend = withVerbs(inner, {
    query: (scope, options) => {
      reads++;
      return inner.query(scope, options);
    },
    watch: (key, since, wake) => {
      watches++;
      return place(key, since, wake);
    },
  });
  const sync = make(undefined, { backend });
  return { clock, store, sync, counts: () => ({ watches, reads }) };
}

describe('the record of a held lock', () => {
  test('is watched by callbacks: one read, one watch, and a look at every 0.8 of the time it is believed in', async () => {
    const { clock, sync, counts } = world(() => () => () => {});
    const grant = sync.acquire('k');
    await clock.advance(50);
    expect(counts()).toEqual({ watches: 0, reads: 0 });
    await clock.advance(100);
    expect(counts()).toEqual({ watches: 1, reads: 1 });
    await clock.advance(3 * 0.8 * PATIENCE);
    expect(counts()).toEqual({ watches: 4, reads: 4 });
    expect((await grant).held).toBe(true);
    await sync.stop();
  });

  test('is known to be gone after that time at the latest, although no watch told', async () => {
    const { clock, store, sync } = world(() => () => () => {});
    const lock = sync.lock('k');
    const lost = losses(lock);
    const held = lock.lock();
    await clock.advance(200);
    const { isOwner } = await held;
    store.commit({ when: [], then: [{ remove: isOwner.key }] });
    await clock.advance(0.8 * PATIENCE - 200);
    expect(lost).toEqual([]);
    await clock.advance(200);
    expect(lost).toMatchObject([{ reason: 'record-gone' }]);
    const stopped = sync.stop();
    await clock.advance(100);
    await stopped;
  });

  test('that may not be watched is lost once the last good look is too old, and not asked for without a pause', async () => {
    const denied = new SyncError('permission-denied', 'no');
    const { clock, sync, counts } = world((clock) => (_key, _since, wake) => {
      const timer = clock.after(1, () => wake(denied));
      return () => timer.cancel();
    });
    const lock = sync.lock('k');
    const lost = losses(lock);
    const held = lock.lock();
    await clock.advance(200);
    expect((await held).held).toBe(true);
    await clock.advance(PATIENCE - 500);
    expect(lost).toEqual([]);
    expect(counts().watches).toBeLessThan(12);
    await clock.advance(500);
    expect(lost).toMatchObject([{ reason: 'permission-denied' }]);
    await sync.stop();
  });

  test('is not looked at any more after the release', async () => {
    const { clock, sync, counts } = world(() => () => () => {});
    const acquired = sync.acquire('k');
    await clock.advance(200);
    await (await acquired).release();
    const before = counts();
    await clock.advance(5 * PATIENCE);
    expect(counts()).toEqual(before);
    await sync.stop();
  });
});
