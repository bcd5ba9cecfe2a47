import { type Backend, SyncError } from 'holdfast';
import { memory } from 'holdfast/memory';
import { describe, expect, test } from 'vitest';
import { losses } from '../scenarios/world.ts';
import { withVerbs } from '../with-verbs.ts';
import { setUp } from './faulty.ts';

const PATIENCE = 9_000;

type Watch = NonNullable<Backend['watch']>;

interface Interference {
  /** What a read of the store comes to, if it is not its answer. */
  readonly read?: () => SyncError | undefined;
  /** The same of a look, which is told of. */
  readonly look?: (clock: ReturnType<typeof setUp>['clock']) => SyncError | undefined;
}

function world(watch: (clock: ReturnType<typeof setUp>['clock']) => Watch, interference: Interference = {}) {
  const { clock, store, make } = setUp('queue');
  let [watches, reads, looks] = [0, 0, 0];
  const inner = memory({ store });
  const place = watch(clock);
  const backend = withVerbs(inner, {
    query: (scope, options) => {
      reads++;
      const error = interference.read?.();
      return error ? Promise.reject(error) : inner.query(scope, options);
    },
    commit: (commit, signal) => {
      const isLook = commit.then.length === 0;
      if (isLook) looks++;
      const error = isLook ? interference.look?.(clock) : undefined;
      return error ? Promise.reject(error) : inner.commit(commit, signal);
    },
    positionOf: (key, revision) => inner.positionOf?.(key, revision) ?? '',
    watch: (key, since, wake) => {
      watches++;
      return place(key, since, wake);
    },
  });
  const sync = make(undefined, { backend });
  return { clock, store, sync, counts: () => ({ watches, reads, looks }) };
}

describe('the record of a held lock', () => {
  test('A2: is watched without a read, and looked at within 0.9 of the time it is believed in, while the watch stands', async () => {
    const { clock, sync, counts } = world(() => () => () => {});
    const grant = sync.acquire('k');
    await clock.advance(50);
    expect(counts()).toEqual({ watches: 0, reads: 0, looks: 0 });
    await clock.advance(100);
    expect(counts()).toEqual({ watches: 1, reads: 0, looks: 0 });
    await clock.advance(3 * 0.9 * PATIENCE);
    expect(counts()).toEqual({ watches: 1, reads: 0, looks: 3 });
    expect((await grant).held).toBe(true);
    await sync.stop();
  });

  test('A2: those of many locks are asked for in the same turn, however far apart they were acquired', async () => {
    const turns = new Set<number>();
    const { clock, sync, counts } = world(() => () => () => {}, {
      look: (at) => {
        turns.add(at.now());
        return undefined;
      },
    });
    for (let n = 0; n < 500; n++) {
      const acquired = sync.acquire(`k${n}`);
      await clock.advance((2 * PATIENCE) / 500);
      await acquired;
    }
    const [before, { looks }] = [turns.size, counts()];
    await clock.advance(10 * PATIENCE);
    expect(counts().looks - looks).toBeGreaterThanOrEqual(500 * 10);
    // At most four turns an interval, and not one for each lock.
    expect(turns.size - before).toBeLessThanOrEqual(4 * 12);
    await sync.stop();
  });

  test.each(['unavailable', 'bad-response'] as const)(
    'A10: that can neither be looked at nor read (%s) for longer than it is believed in is lost, while its session is renewed',
    async (code) => {
      let error: SyncError | undefined;
      const { clock, sync } = world(() => () => () => {}, { read: () => error, look: () => error });
      const lock = sync.lock('k');
      const lost = losses(lock);
      const held = lock.lock();
      await clock.advance(200);
      const grant = await held;
      await clock.advance(3 * PATIENCE);
      error = new SyncError(code, 'of no use');
      // A leader that is away for a while is no loss, however old the last good look is.
      await clock.advance(PATIENCE - 1);
      expect([lost, grant.held]).toEqual([[], true]);
      await clock.advance(0.9 * PATIENCE + 2);
      expect(grant.held).toBe(false);
      expect(lost).toMatchObject([{ reason: 'record-unreadable' }]);
      const stopped = sync.stop();
      await clock.advance(5_000);
      await stopped;
    },
  );

  test('A10: whose looks fail now and then, but can be read, is kept', async () => {
    const { clock, sync } = world(() => () => () => {}, { look: () => new SyncError('unavailable', 'no') });
    const lock = sync.lock('k');
    const lost = losses(lock);
    const held = lock.lock();
    await clock.advance(200);
    await clock.advance(5 * PATIENCE);
    expect([lost, (await held).held]).toEqual([[], true]);
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
    await clock.advance(0.9 * PATIENCE - 200);
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
