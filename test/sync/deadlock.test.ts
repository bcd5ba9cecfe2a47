import { SyncManager as Manager, type SyncManager } from 'holdfast';
import { currentGrant, WithLock } from 'holdfast/decorators';
import { memory } from 'holdfast/memory';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const deadlock = expect.objectContaining({ code: 'deadlock', message: expect.stringContaining('"k"') });
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

let sync: SyncManager;
beforeEach(() => {
  sync = new Manager({ name: 'svc', backend: memory() });
});
afterEach(() => sync.stop());

describe('B5: who would wait for itself is told at once', () => {
  test.each<[string, (sync: SyncManager) => Promise<unknown>]>([
    ['withLock()', (of) => of.withLock('k', () => undefined)],
    ['acquire()', (of) => of.acquire('k')],
    ['lock().lock()', (of) => of.lock('k').lock()],
    [
      'withLock() of another key, and then',
      (of) => of.withLock('l', () => of.withLock('k', () => undefined)),
    ],
    ['one of several', (of) => Promise.all([turn(), of.withLock('k', () => undefined)])],
  ])('%s inside withLock()', async (_, inner) => {
    await sync.withLock('k', async () => {
      await expect(inner(sync)).rejects.toThrow(deadlock);
      await turn();
      await expect(inner(sync)).rejects.toThrow(deadlock);
    });
    // Nothing of it is left, and nothing was lost by it.
    expect(sync.health()).toMatchObject({ held: 0, waiting: 0, standing: 0 });
    await (await sync.acquire('k', { timeout: 1_000 })).release();
  });

  test('a method with @WithLock that calls the inherited one, which has the same key', async () => {
    class Base {
      @WithLock('k', { manager: () => sync })
      async run(): Promise<string> {
        return 'base';
      }
    }
    class Derived extends Base {
      @WithLock('k', { manager: () => sync })
      override async run(): Promise<string> {
        await turn();
        return await super.run();
      }
    }
    await expect(new Derived().run()).rejects.toThrow(deadlock);
    expect(await new Base().run()).toBe('base');
  });

  test('what only a leader does, and the lock of leadership', async () => {
    const outcome = new Promise<unknown>((resolve) => {
      sync.leadership.whileLeader(async () => {
        await turn();
        // The standing claim is shared by all who ask it.
        expect((await sync.leadershipLock().lock()).held).toBe(true);
        resolve(await sync.acquire('service/svc/leadership').catch((error: { code?: string }) => error.code));
      });
    });
    expect(await outcome).toBe('deadlock');
  });

  test('nobody else is told so: other keys, other callers, tries, and whoever holds it no longer', async () => {
    const other = await sync.withLock('k', async (grant) => {
      expect(currentGrant()).toBe(grant);
      await sync.withLock('l', () => expect(currentGrant().key).toBe('l'));
      expect(await sync.tryAcquire('k')).toBeUndefined();
      await grant.release();
      const again = await sync.acquire('k');
      await again.release();
      // Goes on behind the work that has begun it, when that is over.
      return { later: turn().then(() => sync.withLock('k', () => 'later')) };
    });
    expect(await other.later).toBe('later');
    const order: string[] = [];
    await Promise.all(
      ['first', 'second'].map((name) =>
        sync.withLock('k', async () => {
          await turn();
          order.push(name);
        }),
      ),
    );
    expect(order).toEqual(['first', 'second']);
  });

  test('with `detectDeadlocks: false` it waits', async () => {
    await using quiet = new Manager({ name: 'svc', backend: memory(), detectDeadlocks: false });
    await quiet.withLock('k', () =>
      expect(quiet.acquire('k', { timeout: 20 })).rejects.toMatchObject({ code: 'timeout' }),
    );
    expect(() => new Manager({ name: 'svc', backend: memory(), detectDeadlocks: 1 as never })).toThrow(
      /detectDeadlocks/,
    );
  });
});
