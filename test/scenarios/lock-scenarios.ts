import { type Grant, SyncError, type SyncManager } from 'holdfast';
import type { Observable } from 'rxjs';
import { describe, expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { badInput } from './bad-input.ts';
import { live, losses, Managers, next, sessionOf, stateOf, uniqueKey, until, type World } from './world.ts';

const code = (expected: string) => (error: unknown) => error instanceof SyncError && error.code === expected;

/** What a user of locks may rely on, on every backend. */
export function lockScenarios(world: World): void {
  describe.concurrent(`locks on ${world.name}`, () => {
    test('tryLock: free, held by another, held by oneself', async () => {
      await using managers = new Managers(world);
      const key = uniqueKey('try');
      const [mine, theirs] = [managers.make().lock(key), managers.make().lock(key)];
      const grant = await mine.tryLock();
      expect(grant?.held).toBe(true);
      expect(await theirs.tryLock()).toBeUndefined();
      expect(theirs.held).toBe(false);
      expect(await mine.tryLock()).toBe(grant);
      expect(await mine.lock()).toBe(grant);
    });

    test('lock blocks, times out, and succeeds once the holder releases; the claim outlives the call', async () => {
      await using managers = new Managers(world);
      const key = uniqueKey('block');
      const [mine, theirs] = [managers.make().lock(key), managers.make().lock(key)];
      const first = await mine.lock();
      await expect(theirs.lock({ timeout: 60 })).rejects.toSatisfy(code('timeout'));
      const waiting = theirs.lock();
      expect(theirs.held).toBe(false);
      await mine.release();
      const second = await waiting;
      expect(second.token).toBeGreaterThan(first.token);
      expect([first.held, second.held]).toEqual([false, true]);
      expect(first.signal.reason).toSatisfy(code('released'));
    });

    test('an aborted lock() stops waiting with its reason, and leaves the claim', async () => {
      await using managers = new Managers(world);
      const key = uniqueKey('abort');
      const [mine, theirs] = [managers.make().lock(key), managers.make().lock(key)];
      await mine.lock();
      const reason = new Error('enough');
      const controller = new AbortController();
      const call = theirs.lock({ signal: controller.signal });
      await stateOf(theirs, 'waiting');
      controller.abort(reason);
      await expect(call).rejects.toBe(reason);
      await expect(theirs.lock({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      await mine.release();
      await stateOf(theirs, 'held');
    });

    test('an aborted acquire leaves nothing behind', async () => {
      await using managers = new Managers(world);
      const operator = managers.operator();
      const key = uniqueKey('abort');
      const holder = await managers.make().acquire(key);
      const other = managers.make();
      const controller = new AbortController();
      const call = other.acquire(key, { signal: controller.signal });
      const session = await sessionOf(other);
      const prefix = operator.lockPath(key);
      const standing = async () => (await operator.query({ prefix }, { signal: live })).records;
      if (operator.traits.contention === 'queue') {
        await until(async () => (await standing()).some((record) => record.session === session));
      }
      controller.abort(new Error('enough'));
      await expect(call).rejects.toThrow('enough');
      await until(async () => (await standing()).length === 1, 1_000);
      await holder.release();
      await until(async () => (await standing()).length === 0, 1_000);
    });

    test('tryAcquire leaves nothing behind', async () => {
      await using managers = new Managers(world);
      const operator = managers.operator();
      const key = uniqueKey('once');
      const [a, b] = [managers.make(), managers.make()];
      const holder = await a.tryAcquire(key);
      expect(holder?.held).toBe(true);
      expect(await b.tryAcquire(key)).toBeUndefined();
      expect(await a.tryAcquire(key)).toBeUndefined();
      const prefix = operator.lockPath(key);
      expect((await operator.query({ prefix }, { signal: live })).records).toHaveLength(1);
      await holder?.release();
      expect((await operator.query({ prefix }, { signal: live })).records).toHaveLength(0);
    });

    test('FAULTS 14: session destroyed: lost$ tells, tryLock says no, the lock comes back with a larger token', async () => {
      await using managers = new Managers(world);
      const operator = managers.operator();
      const key = uniqueKey('destroyed');
      const manager = managers.make();
      const lock = manager.lock(key);
      const grant = await lock.lock();
      // In a queue a rival is next for certain. In a race the server's lock-delay keeps everybody out for a while.
      const queues = operator.traits.contention === 'queue';
      const rival = managers.make().lock(key);
      if (queues) expect(await rival.tryLock()).toBeUndefined();

      const told = next(lock.lost$, () => true);
      const destroyed = performance.now();
      await operator.closeSession(await sessionOf(manager), live);
      const loss = await told;
      expect(performance.now() - destroyed).toBeLessThan(slowed(500));
      expect(loss).toMatchObject({ key, token: grant.token });
      expect([grant.held, grant.signal.aborted]).toEqual([false, true]);
      expect(grant.signal.reason).toSatisfy(code('lost'));

      if (queues) await stateOf(rival, 'held');
      expect(await lock.tryLock()).toBeUndefined();
      const between = queues ? (await rival.lock()).token : grant.token;
      expect(between).toBeGreaterThanOrEqual(grant.token);
      await rival.release();
      const again = await lock.lock();
      expect(again.token).toBeGreaterThan(between);
      expect(grant.held).toBe(false);
    });

    test('session destroyed with no rival: the lock comes back by itself', async () => {
      await using managers = new Managers(world);
      const operator = managers.operator();
      const manager = managers.make();
      const lock = manager.lock(uniqueKey('alone'));
      const lost = losses(lock);
      const first = await lock.lock();
      await operator.closeSession(await sessionOf(manager), live);
      await until(() => lost.length === 1);
      await stateOf(lock, 'held');
      expect((await lock.lock()).token).toBeGreaterThan(first.token);
      expect(lost).toHaveLength(1);
    });

    test('FAULTS 15: record deleted by an operator: lost, then held again with a larger token', async () => {
      await using managers = new Managers(world);
      const operator = managers.operator();
      const lock = managers.make().lock(uniqueKey('deleted'));
      const grant = await lock.lock();
      const told = next(lock.lost$, () => true);
      await operator.commit({ when: [], then: [{ remove: grant.isOwner.key }] }, live);
      expect(await told).toMatchObject({ reason: 'record-gone', token: grant.token });
      expect((await lock.lock()).token).toBeGreaterThan(grant.token);
      await grant.release();
      expect(lock.held).toBe(true);
    });

    test('FAULTS 16: record overwritten: told with its own reason, and no deadlock', async () => {
      await using managers = new Managers(world);
      const operator = managers.operator();
      const lock = managers.make().lock(uniqueKey('overwritten'));
      const grant = await lock.lock();
      const told = next(lock.lost$, () => true);
      await operator.commit({ when: [], then: [{ put: grant.isOwner.key, value: Buffer.from('x') }] }, live);
      expect(await told).toMatchObject({ reason: 'record-overwritten' });
      expect((await lock.lock()).token).toBeGreaterThan(grant.token);
    });

    test('same key, same Lock; release is idempotent and silent', async () => {
      await using managers = new Managers(world);
      const manager = managers.make();
      const key = uniqueKey('same');
      const lock = manager.lock(key);
      expect(manager.lock(key)).toBe(lock);
      const lost = losses(lock);
      const grant = await lock.lock();
      await Promise.all([lock.release(), lock.release(), grant.release()]);
      await lock.release();
      expect(lock.held).toBe(false);
      const again = await lock.lock();
      expect(again.token).toBeGreaterThan(grant.token);
      await again.release();
      expect(lost).toEqual([]);
    });

    test('release() ends the calls that wait', async () => {
      await using managers = new Managers(world);
      const key = uniqueKey('release');
      await managers.make().acquire(key);
      const lock = managers.make().lock(key);
      const call = lock.lock();
      const rejected = expect(call).rejects.toSatisfy(code('released'));
      await stateOf(lock, 'waiting');
      await lock.release();
      await rejected;
    });

    test('scoped grants exclude one another and the standing claim, in order', async () => {
      await using managers = new Managers(world);
      const manager = managers.make();
      const key = uniqueKey('scoped');
      const order: string[] = [];
      const first = await manager.acquire(key);
      const use = async (name: string, grant: Grant): Promise<void> => {
        order.push(name);
        await new Promise((resolve) => setTimeout(resolve, 2));
        // Says why, if it is not.
        grant.assertHeld();
        await grant.release();
      };
      const others = [
        manager.acquire(key).then((grant) => use('b', grant)),
        manager
          .lock(key)
          .lock()
          .then((grant) => use('c', grant)),
        manager.acquire(key).then((grant) => use('d', grant)),
      ];
      await use('a', first);
      await Promise.all(others);
      expect(order).toEqual(['a', 'b', 'c', 'd']);
    });

    test('a guarded commit is applied while the grant lasts, and refused afterwards', async () => {
      await using managers = new Managers(world);
      const manager = managers.make();
      const key = uniqueKey('fenced');
      const data = `${key}/state`;
      const first = await manager.acquire(key);
      const write = (grant: Grant, value: string) =>
        manager.commit({ when: [grant.isOwner], then: [{ put: data, value }] });
      expect(await write(first, 'one')).toMatchObject({ ok: true });
      const late = write(first, 'two');
      await first.release();
      expect(await late).toMatchObject({ ok: true });
      expect(await write(first, 'stale')).toMatchObject({ ok: false, why: 'conflict' });
      const second = await managers.make().acquire(key);
      expect(await write(first, 'stale')).toMatchObject({ ok: false, why: 'conflict' });
      const read = await manager.commit({ when: [second.isOwner], read: { key: data } });
      expect(read.ok && Buffer.from(read.read?.[0]?.value ?? []).toString()).toBe('two');
      await manager.commit({ then: [{ remove: data }] });
    });

    test('writing the same data again is no sign of a store that went back in time', async () => {
      await using managers = new Managers(world);
      const manager = managers.make();
      const key = uniqueKey('same-data');
      for (let round = 0; round < 3; round++) {
        await manager.withLock(key, async ({ isOwner }) => {
          const written = await manager.commit({
            when: [isOwner],
            then: [{ put: `${key}/state`, value: 'same' }],
          });
          expect(written.ok).toBe(true);
        });
      }
      await manager.commit({ then: [{ remove: `${key}/state` }] });
    });

    test('withLock releases whatever happens', async () => {
      await using managers = new Managers(world);
      const [a, b] = [managers.make(), managers.make()];
      const key = uniqueKey('with');
      expect(await a.withLock(key, ({ token }) => token > 0n)).toBe(true);
      await expect(
        a.withLock(key, () => {
          throw new Error('work failed');
        }),
      ).rejects.toThrow('work failed');
      expect(await b.withLock(key, ({ held }) => held, { timeout: 5_000 })).toBe(true);
    });

    test('two managers that take turns: tokens strictly increase, never two holders', async () => {
      await using managers = new Managers(world);
      const key = uniqueKey('turns');
      const tokens: bigint[] = [];
      let inside = 0;
      const work = async (manager: SyncManager): Promise<void> => {
        for (let round = 0; round < 10; round++) {
          await manager.withLock(key, async ({ token }) => {
            expect(++inside).toBe(1);
            tokens.push(token);
            await Promise.resolve();
            inside--;
          });
        }
      };
      await Promise.all([work(managers.make()), work(managers.make()), work(managers.make())]);
      expect(tokens).toHaveLength(30);
      expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => (a < b ? -1 : 1)));
    });

    test('a lock and one below it never disturb each other', async () => {
      await using managers = new Managers(world);
      const [a, b] = [managers.make(), managers.make()];
      const key = uniqueKey('orders');
      const below = await b.acquire(`${key}/42`);
      const above = await a.tryAcquire(key);
      expect(above?.held).toBe(true);
      expect(await b.tryAcquire(key)).toBeUndefined();
      expect(await a.tryAcquire(`${key}/42`)).toBeUndefined();
      await above?.release();
      expect(below.held).toBe(true);
      await a.withLock(key, () => expect(below.held).toBe(true));
    });

    test('stop: keys and session are gone, every call fails with `stopped`, streams complete', async () => {
      await using managers = new Managers(world);
      const operator = managers.operator();
      const manager = managers.make();
      const [held, wanted] = [uniqueKey('held'), uniqueKey('wanted')];
      const lock = manager.lock(held);
      await managers.make().acquire(wanted);
      const grant = await lock.lock();
      await manager.acquire(`${held}/scoped`);
      const calls = [manager.lock(wanted).lock(), manager.acquire(wanted)];
      const rejected = calls.map((call) => expect(call).rejects.toSatisfy(code('stopped')));
      const session = await sessionOf(manager);
      const lost = losses(lock);
      let completed = 0;
      const streams: Observable<unknown>[] = [lock.lost$, lock.state$, manager.session$, manager.events$];
      for (const stream of streams) stream.subscribe({ complete: () => completed++ });
      await Promise.all([manager.stop(), manager.stop()]);
      await Promise.all(rejected);
      expect([grant.held, grant.signal.aborted, completed, lost.length]).toEqual([false, true, 4, 0]);
      for (const call of [
        () => lock.lock(),
        () => lock.tryLock(),
        () => manager.acquire(held),
        () => manager.tryAcquire(held),
        () => manager.withLock(held, () => {}),
        () => manager.commit({ then: [{ remove: held }] }),
      ]) {
        await expect(call()).rejects.toSatisfy(code('stopped'));
      }
      expect(() => manager.lock('x')).toThrow(expect.objectContaining({ code: 'stopped' }));
      await lock.release();
      const { records } = await operator.query({ prefix: `${held.split('/')[0]}/` }, { signal: live });
      expect(records).toEqual([]);
      expect(await operator.renewSession(session, live)).toBe('gone');
    });

    badInput(world);
  });
}
