import { SyncError, SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { describe, expect, onTestFinished, test } from 'vitest';
import { reservePorts } from '../servers/ports.ts';
import { got, isOwnedPut, settle, setUp, watch } from './faulty.ts';

const REFUSED = { outcome: 'refused' } as const;

describe.each(['queue', 'race'] as const)('C7: readiness (%s)', (contention) => {
  test('is of what has been seen to work', async () => {
    const { clock, make } = setUp(contention);
    const sync = make();
    expect(sync.health()).toMatchObject({ ready: false, session: 'idle' });
    await settle(clock, sync.connect());
    expect(sync.health()).toMatchObject({ ready: true, session: 'live', waiting: 0 });
    await settle(clock, sync.connect());
    await settle(clock, sync.stop());
    expect(sync.health().ready).toBe(false);
    await expect(sync.connect()).rejects.toMatchObject({ code: 'stopped' });
  });

  test('is not, while every lock is refused, and says why; a lock that is had ends that', async () => {
    const { clock, make } = setUp(contention);
    let refusing = true;
    const sync = make((request, pass) =>
      isOwnedPut(request) && refusing
        ? Promise.reject(new SyncError('permission-denied', 'this token may write nothing', REFUSED))
        : pass(),
    );
    await settle(clock, sync.connect());
    expect(sync.health().ready).toBe(true);
    await expect(settle(clock, sync.acquire('k'))).rejects.toMatchObject({ code: 'permission-denied' });
    expect(sync.health()).toMatchObject({ ready: false, trouble: 'this token may write nothing' });
    refusing = false;
    const grant = await settle(clock, sync.acquire('k'));
    expect(sync.health()).toMatchObject({ ready: true, trouble: undefined });
    refusing = true;
    // One key that is refused, while others are held, is the key's own trouble.
    await expect(settle(clock, sync.acquire('l'))).rejects.toMatchObject({ code: 'permission-denied' });
    expect(sync.health().ready).toBe(true);
    await settle(clock, grant.release());
    await settle(clock, sync.stop());
  });

  test('is over for good after `store-reset`, whatever is held', async () => {
    const { clock, store, make } = setUp(contention);
    const sync = make();
    const before = store.copy();
    const held = watch(sync.lock('held').lock());
    for (let n = 0; n < 5; n++) await settle(clock, (await settle(clock, sync.acquire(`k${n}`))).release());
    expect(got(held).held).toBe(true);
    store.restore(before);
    await expect(settle(clock, sync.acquire('next'))).rejects.toBeDefined();
    await clock.advance(60_000);
    expect(sync.health()).toMatchObject({ ready: false });
    await expect(settle(clock, sync.acquire('again'))).rejects.toMatchObject({ code: 'store-reset' });
    expect(sync.health()).toMatchObject({ ready: false, trouble: expect.stringContaining('went back') });
    await settle(clock, sync.stop());
  });

  test('who only observes is told since when it could not look', async () => {
    const { clock, store, make } = setUp(contention);
    let down = false;
    let cut = (): void => undefined;
    const observer = make((_, pass) => {
      const failed = () => new SyncError('unavailable', 'cut off');
      if (down) return Promise.reject(failed());
      // Also what is under way.
      const broken = new Promise<never>((_resolve, reject) => {
        cut = () => reject(failed());
      });
      return Promise.race([pass(), broken]);
    });
    const leader = make();
    await settle(clock, leader.leadershipLock().lock());
    const seen: (readonly [boolean, number | undefined])[] = [];
    observer.leadership.leader$.subscribe((holder) => seen.push([holder !== undefined, holder?.staleSince]));
    await clock.advance(100);
    expect([seen, observer.health().blindSince]).toEqual([[[true, undefined]], undefined]);
    const since = clock.wall();
    down = true;
    cut();
    await clock.advance(10);
    // Something happens that it cannot see.
    store.destroySession(store.sessions()[0]?.id ?? '');
    await clock.advance(90_000);
    expect(seen).toEqual([
      [true, undefined],
      [true, since],
    ]);
    const stale = since;
    expect(observer.health()).toMatchObject({ blindSince: stale });
    down = false;
    await clock.advance(5_000);
    expect(seen.at(-1)?.[1]).toBeUndefined();
    expect(seen.length).toBeGreaterThan(2);
    expect(observer.health().blindSince).toBeUndefined();
    await settle(clock, Promise.all([observer.stop(), leader.stop()]));
  });

  test('connect() ends with what is refused, with its timeout, its signal and stop(), and goes on', async () => {
    const { clock, make } = setUp(contention);
    let error: SyncError | undefined = new SyncError('unavailable', 'no server');
    const sync = make((request, pass) =>
      request.verb === 'openSession' && error !== undefined ? Promise.reject(error) : pass(),
    );
    const controller = new AbortController();
    const [timed, aborted] = [
      sync.connect({ timeout: 1_000 }),
      sync.connect({ signal: controller.signal }),
    ].map((call) => call.then(String, String));
    await clock.advance(1_000);
    expect(await timed).toBe('SyncError: no session was opened within 1000 ms; last trouble: no server');
    controller.abort(new Error('enough'));
    expect(await aborted).toBe('Error: enough');
    error = new SyncError('permission-denied', 'no such token', REFUSED);
    await expect(settle(clock, sync.connect())).rejects.toBe(error);
    error = undefined;
    await clock.advance(5_000);
    expect(sync.health().ready).toBe(true);
    const other = make(({ verb }, pass) => (verb === 'openSession' ? new Promise(() => {}) : pass()));
    const stopped = watch(other.connect());
    await settle(clock, other.stop());
    expect(stopped.code).toBe('stopped');
    expect(other.health().waiting).toBe(0);
    await settle(clock, sync.stop());
    expect(clock.pending).toBe(0);
  });
});

test.each(['etcd', 'Consul'])('C7: a wrong address of %s is told at start', async (store) => {
  const reservation = await reservePorts(1);
  const [port] = reservation.ports;
  const address = `127.0.0.1:${port}`;
  const backend = store === 'etcd' ? etcd({ hosts: address }) : consul({ addresses: [address] });
  onTestFinished(() => reservation.release());
  await using sync = new SyncManager({ name: 'svc', backend });
  await expect(sync.connect({ timeout: 500 })).rejects.toMatchObject({
    code: 'timeout',
    message: expect.stringMatching(/^no session was opened within 500 ms; last trouble: .*127\.0\.0\.1/),
  });
  expect(sync.health()).toMatchObject({ ready: false, session: 'opening', trouble: expect.any(String) });
});
