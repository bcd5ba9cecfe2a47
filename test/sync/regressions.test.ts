import { SyncError } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { type Fault, got, hang, isOwnedPut, isRemoval, isWriteTo, setUp, watch } from './faulty.ts';

const cut = (): { now: boolean; fault: Fault } => {
  const state = {
    now: false,
    fault: (async (_, pass) => {
      if (state.now) throw new SyncError('unavailable', 'cut off');
      return await pass();
    }) as Fault,
  };
  return state;
};

// Each of these was a mistake in this library once.
describe.each(['queue', 'race'] as const)('%s', (contention) => {
  test('a grant of a standing claim given back ends the claim, and the lock can be asked for again', async () => {
    const { clock, make } = setUp(contention);
    const lock = make().lock('k');
    const first = watch(lock.lock());
    await clock.advance(10);
    const states: string[] = [];
    lock.state$.subscribe(({ name }) => states.push(name));
    const released = watch(got(first).release());
    await clock.advance(10);
    expect(released.done).toBe(true);
    const again = watch(lock.lock());
    await clock.advance(10);
    expect(got(again).token).toBeGreaterThan(got(first).token);
    expect(states).toEqual(['held', 'releasing', 'idle', 'seeking', 'held']);
  });

  test('stop() ends while a caller that gave up cannot be cleaned up after', async () => {
    const { clock, make } = setUp(contention);
    const line = cut();
    const sync = make(line.fault);
    watch(make().acquire('k'));
    await clock.advance(10);
    const controller = new AbortController();
    const call = watch(sync.acquire('k', { signal: controller.signal }));
    await clock.advance(100);
    line.now = true;
    controller.abort(new Error('gave up'));
    await clock.advance(10);
    expect(call.done).toBe(true);
    const stopped = watch(sync.stop());
    await clock.advance(5_000);
    expect(stopped.done).toBe(true);
  });

  test('stop() ends a release that cannot get through', async () => {
    const { clock, make } = setUp(contention);
    const line = cut();
    const sync = make(line.fault);
    const grant = watch(sync.acquire('k'));
    await clock.advance(10);
    line.now = true;
    const released = watch(got(grant).release());
    const stopped = watch(sync.stop({ timeout: 1_000 }));
    await clock.advance(1_000);
    expect([stopped.done, released.done]).toEqual([true, true]);
  });

  test('stop() tells every caller at once, however many keys cannot be released', async () => {
    const { clock, make } = setUp(contention);
    const line = cut();
    const sync = make(line.fault);
    const rival = make();
    const keys = Array.from({ length: 70 }, (_, number) => `k${number}`);
    for (const key of keys) watch(rival.acquire(key));
    await clock.advance(50);
    const calls = keys.flatMap((key) => [watch(sync.lock(key).lock()), watch(sync.acquire(key))]);
    await clock.advance(100);
    line.now = true;
    const stopped = watch(sync.stop({ timeout: 1_000 }));
    await clock.advance(1);
    expect(calls.every(({ code }) => code === 'stopped')).toBe(true);
    await clock.advance(1_000);
    expect(stopped.done).toBe(true);
  });

  test('stop() releases many standing locks with bounded parallelism', async () => {
    const { clock, store, make, pause } = setUp(contention);
    let [now, most] = [0, 0];
    const sync = make(async (request, pass) => {
      if (!isRemoval(request)) return await pass();
      most = Math.max(most, ++now);
      await pause(5);
      now--;
      return await pass();
    });
    for (let number = 0; number < 300; number++) watch(sync.lock(`k${number}`).lock());
    await clock.advance(50);
    expect(store.records()).toHaveLength(300);
    const stopped = watch(sync.stop());
    await clock.advance(1_000);
    expect([stopped.done, store.records().length, store.sessions().length]).toEqual([true, 0, 0]);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(64);
  });

  test('stop() closes the session also when one key cannot be released', async () => {
    const { clock, store, make, pause } = setUp(contention);
    const sync = make(async (request, pass) => {
      await pause(2);
      const stuck =
        request.verb === 'commit' &&
        request.commit.then.some((mutation) => mutation.remove?.startsWith('bad'));
      return stuck ? await hang(request.signal) : await pass();
    });
    watch(sync.acquire('bad'));
    watch(sync.acquire('good'));
    await clock.advance(100);
    const stopped = watch(sync.stop({ timeout: 1_000 }));
    await clock.advance(1_000);
    expect([stopped.done, store.sessions()]).toEqual([true, []]);
  });

  test('a token never falls over a wiped store, also when the reply to the first write is lost', async () => {
    const { clock, store, make } = setUp(contention);
    let lose = false;
    const sync = make(async (request, pass) => {
      const answer = await pass();
      if (!lose || !isOwnedPut(request)) return answer;
      lose = false;
      throw new SyncError('unavailable', 'the reply was lost');
    });
    for (let round = 0; round < 20; round++) {
      const grant = watch(sync.acquire('k'));
      await clock.advance(10);
      watch(got(grant).release());
      await clock.advance(10);
    }
    watch(sync.acquire('k'));
    await clock.advance(10);
    store.wipe();
    lose = true;
    await clock.advance(30_000);
    const again = watch(sync.acquire('k', { timeout: 10_000 }));
    await clock.advance(30_000);
    expect(again.code).toBe('store-reset');
    expect(store.records()).toEqual([]);
  });

  test('a release waits for the writes of its grant, whoever leaves meanwhile', async () => {
    const { clock, make, pause } = setUp(contention);
    const slow: Fault = async (request, pass) => {
      if (isWriteTo('data')(request)) await pause(500);
      return await pass();
    };
    for (const end of ['next', 'stop'] as const) {
      const sync = make(slow);
      const grant = watch(sync.acquire('k'));
      await clock.advance(10);
      const controller = new AbortController();
      watch(sync.acquire('k', { signal: controller.signal }));
      await clock.advance(10);
      const write = watch(sync.commit({ when: [got(grant).isOwner], then: [{ put: 'data', value: end }] }));
      watch(got(grant).release());
      await clock.advance(10);
      if (end === 'next') controller.abort(new Error('gave up'));
      else watch(sync.stop());
      await clock.advance(2_000);
      expect(write.value).toMatchObject({ ok: true });
      watch(sync.stop());
      await clock.advance(2_000);
    }
  });

  test('a second release waits for the first', async () => {
    const { clock, store, make, pause } = setUp(contention);
    const sync = make(async (request, pass) => {
      if (isRemoval(request)) await pause(500);
      return await pass();
    });
    const grant = watch(sync.acquire('scoped'));
    const standing = watch(sync.lock('standing').lock());
    await clock.advance(10);
    watch(got(grant).release());
    watch(sync.lock('standing').release());
    const again = [
      watch(got(grant).release()),
      watch(sync.lock('standing').release()),
      watch(got(standing).release()),
    ];
    await clock.advance(10);
    expect([again.some(({ done }) => done), store.records().length]).toEqual([false, 2]);
    await clock.advance(500);
    expect([again.every(({ done }) => done), store.records().length]).toEqual([true, 0]);
  });

  test('a refused removal is told, keeps nobody waiting, and goes on being tried', async () => {
    const { clock, store, make } = setUp(contention);
    let refused = true;
    const sync = make(async (request, pass) => {
      if (refused && isRemoval(request)) throw new SyncError('permission-denied', 'no');
      return await pass();
    });
    const troubles: unknown[] = [];
    sync.events$.subscribe((event) => {
      if (event.type === 'trouble') troubles.push(event.error);
    });
    const grant = watch(sync.acquire('k'));
    await clock.advance(10);
    const released = watch(got(grant).release());
    const next = watch(sync.acquire('k'));
    await clock.advance(10);
    expect([released.done, next.code]).toEqual([true, 'permission-denied']);
    expect(troubles.length).toBeGreaterThan(0);
    refused = false;
    await clock.advance(3_000);
    expect(store.records()).toEqual([]);
  });

  test('a lock() during a doubt gets its answer when the renewal under way clears it', async () => {
    const { clock, make, pause } = setUp(contention);
    const sync = make(async (request, pass) => {
      const answer = await pass();
      if (request.verb === 'renewSession') await pause(100);
      return answer;
    });
    const lock = sync.lock('k');
    watch(lock.lock());
    await clock.advance(3_300);
    clock.jumpWall(600);
    await clock.advance(60);
    clock.jumpWall(600);
    const call = watch(lock.lock());
    await clock.advance(1_000);
    expect([lock.held, call.done]).toEqual([true, true]);
  });

  test('a session that was slow to open is renewed in time', async () => {
    const { clock, make, pause } = setUp(contention);
    const sync = make(async (request, pass) => {
      const answer = await pass();
      if (request.verb === 'openSession') await pause(6_000);
      return answer;
    });
    const lock = sync.lock('k');
    const losses: unknown[] = [];
    lock.lost$.subscribe((loss) => losses.push(loss));
    watch(lock.lock());
    await clock.advance(30_000);
    expect([lock.held, losses]).toEqual([true, []]);
  });

  test.each([{ margin: 5_000 }, { renewInterval: 5_000 }])(
    'a server that grants less than was asked is renewed in proportion (%j)',
    async (timing) => {
      const { clock, make } = setUp(contention);
      let opened = 0;
      const sync = make(
        async (request, pass) => {
          const answer = await pass();
          if (request.verb !== 'openSession') return answer;
          opened++;
          return { ...answer, ttl: 4_000 };
        },
        { session: { ttl: 10_000, lockDelay: 0, ...timing } },
      );
      const grant = watch(sync.acquire('k'));
      await clock.advance(20_000);
      expect([got(grant).held, opened]).toEqual([true, 1]);
    },
  );

  test('who takes over the place of a caller that gave up is told where it stands', async () => {
    const { clock, make } = setUp(contention);
    watch(make().acquire('k'));
    await clock.advance(10);
    const sync = make();
    const controller = new AbortController();
    watch(sync.acquire('k', { signal: controller.signal }));
    const lock = sync.lock('k');
    const states: string[] = [];
    lock.state$.subscribe(({ name }) => states.push(name));
    watch(lock.lock());
    await clock.advance(50);
    controller.abort(new Error('gave up'));
    expect(states.at(-1)).toBe('waiting');
    const tried = watch(lock.tryLock());
    await clock.advance(10);
    expect([tried.done, tried.value]).toEqual([true, undefined]);
  });

  test('tryLock() that takes over an attempt under way waits for its outcome', async () => {
    const { clock, make, pause } = setUp(contention);
    const sync = make(async (_, pass) => {
      await pause(50);
      return await pass();
    });
    watch(sync.acquire('warm'));
    await clock.advance(300);
    const controller = new AbortController();
    watch(sync.acquire('k', { signal: controller.signal }));
    const lock = sync.lock('k');
    watch(lock.lock());
    await clock.advance(10);
    controller.abort(new Error('gave up'));
    const tried = watch(lock.tryLock());
    await clock.advance(500);
    expect(got(tried)?.held).toBe(true);
  });

  test('a sweep that ends while a claim begins takes nothing from it', async () => {
    const { clock, store, make } = setUp(contention);
    let failed = false;
    let open: (() => void) | undefined;
    const sync = make(async (request, pass) => {
      if (!failed && isOwnedPut(request)) {
        failed = true;
        throw new SyncError('unavailable', 'no answer');
      }
      const answer = await pass();
      if (request.verb === 'query' && open === undefined && clock.now() > 9_300) {
        await new Promise<void>((resolve) => {
          open = resolve;
        });
      }
      return answer;
    });
    const controller = new AbortController();
    watch(sync.acquire('k', { signal: controller.signal }));
    await clock.advance(1);
    controller.abort(new Error('gave up'));
    await clock.advance(9_900);
    expect(open).toBeDefined();
    await clock.advance(300);
    const lock = sync.lock('k');
    watch(lock.lock());
    open?.();
    await clock.advance(100);
    expect(lock.held).toBe(true);
    for (const { id } of store.sessions()) store.destroySession(id);
    await clock.advance(60_000);
    expect(lock.held).toBe(true);
  });
});

test('race: both local callers of a foreign record are told', async () => {
  const { clock, store, make } = setUp('race');
  store.commit({ when: [], then: [{ put: 'k', value: Buffer.from('theirs') }] });
  const sync = make();
  const calls = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
  await clock.advance(10);
  expect(calls.map(({ code }) => code)).toEqual(['foreign-record', 'foreign-record']);
});

test('race: a record of our own that took effect late is found, not written over', async () => {
  const { clock, store, make, pause } = setUp('race');
  let late: (() => void) | undefined;
  let losing = false;
  const sync = make(
    async (request, pass) => {
      if (losing && request.verb === 'commit' && isWriteTo('k')(request)) {
        losing = false;
        late = () => void store.commit(request.commit);
        throw new SyncError('unavailable', 'no answer');
      }
      if (request.verb === 'query' && request.since !== undefined) await pause(800);
      return await pass();
    },
    { metadata: 'me' },
  );
  watch(sync.acquire('warm'));
  await clock.advance(10);
  losing = true;
  const call = watch(sync.acquire('k'));
  await clock.advance(0);
  const rival = watch(make().acquire('k'));
  await clock.advance(500);
  watch(got(rival).release());
  await clock.advance(0);
  late?.();
  const others = [watch(sync.acquire('other'))];
  await clock.advance(5_000);
  others.push(watch(sync.acquire('another')));
  await clock.advance(5_000);
  expect([call, ...others].map(({ code }) => code)).toEqual([undefined, undefined, undefined]);
  expect(got(call).held).toBe(true);
});
