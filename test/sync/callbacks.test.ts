import { fileURLToPath } from 'node:url';
import { type Backend, SyncError } from 'holdfast';
import type { Observable } from 'rxjs';
import { describe, expect, inject, test } from 'vitest';
import { slowed } from '../busy.ts';
import { live, Managers, next, sessionOf, uniqueKey, until, type World } from '../scenarios/world.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import { consulWorld, etcdWorld, memoryWorld, postgresWorld } from '../soak/stores.ts';
import { withVerbs } from '../with-verbs.ts';

const worlds: World[] = [
  memoryWorld(),
  etcdWorld(inject('etcdAddress')),
  consulWorld(inject('consulAddress')),
  postgresWorld(inject('postgresAddress')),
];
const session = { ttl: 2_000, lockDelay: 0 };
const RENEWALS = 3;

/** A backend whose renewals are counted. */
function counting(inner: Backend): { backend: Backend; renewals: () => number } {
  let renewals = 0;
  return {
    renewals: () => renewals,
    backend: withVerbs(inner, {
      renewSession: async (id, signal) => {
        const result = await inner.renewSession(id, signal);
        if (result === 'renewed') renewals++;
        return result;
      },
    }),
  };
}

function setUp(world: World, managers: Managers) {
  const { backend, renewals } = counting(world.backend());
  const sync = managers.make({ backend, session });
  const renewed = (): Promise<void> => {
    const before = renewals();
    return until(() => renewals() >= before + RENEWALS);
  };
  return { sync, renewed, key: uniqueKey('callbacks') };
}

const fail = (): never => {
  throw new Error('thrown by a user');
};

describe.concurrent.each(worlds)('FAULTS 36: on $name', (world) => {
  test('subscribers that throw, reject, re-enter or never settle: the others are told, and renewals go on', async () => {
    await using managers = new Managers(world);
    const operator = managers.operator();
    const { sync, renewed, key } = setUp(world, managers);
    const lock = sync.lock(key);
    const failures: string[] = [];
    sync.events$.subscribe((event) => {
      if (event.type === 'listener-failed') failures.push(String(event.error));
    });
    let [reentered, calm] = [0, false];
    for (const stream of [lock.state$, lock.lost$, sync.session$] as Observable<unknown>[]) {
      stream.subscribe(fail);
      stream.subscribe(() => Promise.reject(new Error('rejected by a user')));
      stream.subscribe(() => new Promise(() => {}));
      stream.subscribe(async () => {
        if (calm) return;
        await sync.tryAcquire(`${key}/other`).then((grant) => grant?.release());
        if (await lock.tryLock()) reentered++;
      });
    }
    const seen: string[] = [];
    lock.state$.subscribe(({ name }) => seen.push(name));
    const grant = await lock.lock();
    await renewed();
    expect([grant.held, lock.grant === grant]).toEqual([true, true]);

    const told = next(lock.lost$, () => true);
    await operator.closeSession(await sessionOf(sync), live);
    expect(await told).toMatchObject({ token: grant.token });
    const again = await lock.lock();
    expect(again.token).toBeGreaterThan(grant.token);
    await renewed();
    expect(again.held).toBe(true);
    expect(seen.filter((name) => name === 'held' || name === 'lost')).toEqual(['held', 'lost', 'held']);
    expect(reentered).toBeGreaterThan(0);
    expect(new Set(failures)).toEqual(new Set(['Error: thrown by a user', 'Error: rejected by a user']));
    calm = true;
    await lock.release();
    // One that had begun before may have claimed it once more.
    await lock.release();
    await until(async () => (await operator.query({ prefix: key }, { signal: live })).records.length === 0);
  });

  test('metadata that throws or re-enters later on: told to who asks, and nobody else is harmed', async () => {
    await using managers = new Managers(world);
    const operator = managers.operator();
    const { sync, renewed, key } = setUp(world, managers);
    const neighbour = await sync.acquire(`${key}/neighbour`);
    let mode: 'good' | 'bad' | 'busy' = 'good';
    const metadata = () => {
      if (mode === 'bad') fail();
      if (mode === 'busy') void sync.lock(`${key}/other`).tryLock();
      return { mode };
    };
    const lock = sync.lock(`${key}/main`, { metadata });
    const grant = await lock.lock();
    mode = 'bad';
    const told = next(lock.lost$, () => true);
    await operator.commit({ when: [grant.isOwner], then: [{ remove: grant.isOwner.key }] }, live);
    await told;
    await expect(lock.lock()).rejects.toSatisfy(
      (error) => error instanceof SyncError && error.code === 'invalid-option',
    );
    await expect(sync.acquire(`${key}/scoped`, { metadata })).rejects.toMatchObject({
      code: 'invalid-option',
    });
    await renewed();
    expect([neighbour.held, lock.held]).toEqual([true, false]);
    mode = 'busy';
    await next(lock.state$, ({ name }) => name === 'held');
    await next(sync.lock(`${key}/other`).state$, ({ name }) => name === 'held');
    expect(neighbour.held).toBe(true);
  });

  test('work that throws, rejects, or never settles: its lock is released, and stop() waits for none of it', async () => {
    await using managers = new Managers(world);
    const operator = managers.operator();
    const { sync, renewed, key } = setUp(world, managers);
    await expect(sync.withLock(key, fail)).rejects.toThrow('thrown by a user');
    await expect(sync.withLock(key, () => Promise.reject(new Error('rejected')))).rejects.toThrow('rejected');
    // Whoever asks for the lock again from within would wait for itself.
    const inner = sync.withLock(key, () => sync.acquire(key));
    await expect(inner).rejects.toMatchObject({ code: 'deadlock' });
    let signal: AbortSignal | undefined;
    const begun = new Promise<void>((resolve) => {
      void sync.withLock(key, (grant) => {
        signal = grant.signal;
        resolve();
        return new Promise(() => {});
      });
    });
    await begun;
    await renewed();
    expect(signal?.aborted).toBe(false);
    const stopping = performance.now();
    await sync.stop();
    expect(performance.now() - stopping).toBeLessThan(slowed(1_000));
    expect(signal?.aborted).toBe(true);
    expect((await operator.query({ prefix: key }, { signal: live })).records).toEqual([]);
  });
});

test("FAULTS 36: what a listener of a signal throws is the process's own to handle; the lock goes on", async () => {
  const fixture = fileURLToPath(new URL('./throwing-listener-fixture.ts', import.meta.url));
  const result = await run(process.execPath, [program(fixture)]);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(result.stdout)).toEqual({
    uncaught: ['listener'],
    others: 1,
    held: true,
    left: 0,
  });
});
