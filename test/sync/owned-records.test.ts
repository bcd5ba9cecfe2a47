import { SyncError, type SyncManager } from 'holdfast';
import { expect, test } from 'vitest';
import { type Fault, isRemoval, isWriteTo, settle, setUp, watch } from './faulty.ts';

const KEPT = { put: 'm/a', value: 'a', owned: true, keep: true } as const;
const isPut = isWriteTo(KEPT.put);

/** A manager with a kept record, whose session then ends: what follows are the puts under the next one. */
async function lose(fault: Fault) {
  let lost = false;
  const world = setUp('race');
  const { clock, store, make } = world;
  const sync = make((request, pass) => (lost ? fault(request, pass) : pass()));
  await settle(clock, sync.commit({ then: [KEPT] }));
  lost = true;
  for (const { id } of store.sessions()) store.destroySession(id);
  return { ...world, sync };
}

const remove = (sync: SyncManager) => sync.commit({ then: [{ remove: KEPT.put }] });

test.each([1, 2])(
  'a record that is removed while it is being put again stays away, asked %i times',
  async (times) => {
    let [putting, put] = [false, false];
    const { clock, store, sync, pause } = await lose(async (request, pass) => {
      if (!isPut(request)) return await pass();
      putting = true;
      await pause(100);
      // Heard of the second time only, it is there already.
      if (times === 2) await pass();
      const answer = await pass();
      put = store.records('m/').length === 1;
      return answer;
    });
    await clock.runUntil(() => putting);
    await settle(clock, remove(sync));
    await clock.runUntil(() => put);
    await clock.advance(1_000);
    expect(store.records('m/')).toEqual([]);
  },
);

test('and so it does when the put comes through late, without an answer', async () => {
  let late: (() => Promise<unknown>) | undefined;
  const { clock, store, sync } = await lose((request, pass) => {
    if (!isPut(request)) return pass();
    late ??= pass;
    return Promise.reject(new SyncError('unavailable', 'no answer'));
  });
  await clock.runUntil(() => late !== undefined);
  await settle(clock, remove(sync));
  await clock.advance(2_000);
  await late?.();
  expect(store.records('m/')).toHaveLength(1);
  await clock.runUntil(() => store.records('m/').length === 0, 2_000);
});

test('and so it does when it was written once more before it was removed', async () => {
  let late: (() => Promise<unknown>) | undefined;
  const { clock, store, sync } = await lose((request, pass) => {
    if (!isPut(request) || late !== undefined) return pass();
    late = pass;
    return Promise.reject(new SyncError('unavailable', 'no answer'));
  });
  await clock.runUntil(() => late !== undefined);
  await settle(clock, sync.commit({ then: [{ ...KEPT, value: 'b' }] }));
  await settle(clock, remove(sync));
  await clock.advance(2_000);
  await late?.();
  expect(store.records('m/')).toHaveLength(1);
  await clock.runUntil(() => store.records('m/').length === 0, 2_000);
});

test('and so it does when it was put again before the answer to its removal came', async () => {
  let removing = false;
  let restored = false;
  const { clock, store, sync, pause } = await lose(async (request, pass) => {
    if (isPut(request)) {
      // Not before the store has carried out the removal.
      while (!removing) await pause(1);
      const answer = await pass();
      restored = true;
      return answer;
    }
    const answer = await pass();
    if (isRemoval(request) && !removing) {
      removing = true;
      while (!restored) await pause(1);
      await pause(100);
    }
    return answer;
  });
  await settle(clock, remove(sync));
  expect(restored).toBe(true);
  await clock.runUntil(() => store.records('m/').length === 0, 2_000);
});

test('a record that is written while it is being put again has what was written last', async () => {
  let putting = false;
  const { clock, store, sync, pause } = await lose(async (request, pass) => {
    if (isPut(request) && !putting) {
      putting = true;
      await pause(100);
    }
    return await pass();
  });
  const value = (): string => Buffer.from(store.records('m/')[0]?.value ?? '').toString();
  await clock.runUntil(() => putting);
  await settle(clock, sync.commit({ then: [{ ...KEPT, value: 'b' }] }));
  await clock.advance(1_000);
  expect(value()).toBe('b');
  for (const { id } of store.sessions()) store.destroySession(id);
  await clock.runUntil(() => store.records('m/').length === 0);
  await clock.runUntil(() => value() === 'b');
});

test('one put at a time, however often the session is doubted', async () => {
  let puts = 0;
  let failing = 4;
  const { clock, store, pause } = await lose(async (request, pass) => {
    if (isPut(request)) {
      puts += 1;
      await pause(25_000);
    }
    if (request.verb === 'renewSession' && puts > 0 && failing-- > 0)
      throw new SyncError('unavailable', 'no answer');
    return await pass();
  });
  await clock.runUntil(() => store.records('m/').length === 1, 60_000);
  expect(failing).toBeLessThan(0);
  expect(puts).toBe(1);
});

test('what had no answer is removed before the session is closed', async () => {
  const order: string[] = [];
  const { clock, store, make } = setUp('race');
  const sync = make(async (request, pass) => {
    if (request.verb === 'closeSession') order.push(`${store.records('m/').length} when it is closed`);
    const answer = await pass();
    if (isPut(request)) throw new SyncError('unavailable', 'no answer');
    return answer;
  });
  const call = settle(clock, sync.commit({ then: [KEPT] }));
  await expect(call).rejects.toMatchObject({ code: 'unavailable' });
  expect(store.records('m/')).toHaveLength(1);
  await settle(clock, sync.stop());
  expect(order).toEqual(['0 when it is closed']);
});

test('a record that is on its way when the manager stops does not outlast it, nor hold up its session', async () => {
  const order: string[] = [];
  const { clock, store, make, pause } = setUp('race');
  const sync = make(async (request, pass) => {
    if (request.verb === 'closeSession') order.push(`${store.records('m/').length} when it is closed`);
    if (isPut(request)) await pause(200);
    return await pass();
  });
  await settle(clock, sync.connect());
  const call = watch(sync.commit({ then: [KEPT] }));
  await settle(clock, sync.stop());
  expect(call.value).toMatchObject({ ok: true });
  expect(order).toEqual(['0 when it is closed']);
});

test('who waits for a session while the manager stops is told so', async () => {
  const { clock, make } = setUp('race');
  const sync = make((request, pass) =>
    request.verb === 'openSession' ? Promise.reject(new SyncError('unavailable', 'no answer')) : pass(),
  );
  let call: ReturnType<typeof watch> | undefined;
  sync.onStop('before-release', () => {
    call = watch(sync.commit({ then: [KEPT] }));
  });
  await settle(clock, sync.stop());
  expect(call).toMatchObject({ done: true, code: 'stopped' });
});

test('who comes to a watch while nothing can be seen is told what was seen last', async () => {
  let blind = false;
  const { clock, make } = setUp('race');
  const sync = make((request, pass) =>
    blind && request.verb === 'query' ? Promise.reject(new SyncError('unavailable', 'no answer')) : pass(),
  );
  await settle(clock, sync.commit({ then: [KEPT] }));
  const view = sync.watch({ prefix: 'm/' });
  const [first, second]: [number[], number[]] = [[], []];
  view.subscribe((records) => first.push(records.length));
  await clock.runUntil(() => first.length === 1);
  blind = true;
  await settle(clock, sync.commit({ then: [{ ...KEPT, put: 'm/b' }] }));
  await clock.advance(5_000);
  view.subscribe((records) => second.push(records.length));
  expect([first, second]).toEqual([[1], [1]]);
});

test('what takes back a stage while the manager stops is heeded', async () => {
  const { clock, make } = setUp('race');
  const sync = make();
  const done: string[] = [];
  const takeBack = sync.onStop('before-release', () => done.push('taken back'));
  sync.onStop('before-release', () => {
    done.push('first');
    takeBack();
  });
  await settle(clock, sync.stop());
  expect(done).toEqual(['first']);
});

test('that the store went back is noticed by a manager whose fork has opened its session later', async () => {
  const { clock, store, make } = setUp('race');
  let lose = false;
  const parent = make(async (request, pass) => {
    const answer = await pass();
    if (!lose || !isWriteTo('k')(request)) return answer;
    lose = false;
    throw new SyncError('unavailable', 'no answer');
  });
  await settle(clock, parent.connect());
  const fork = parent.fork();
  await settle(clock, fork.connect());
  const copy = store.copy();
  for (let round = 0; round < 5; round++)
    await settle(
      clock,
      parent.withLock('k', () => undefined),
    );
  store.restore(copy);
  lose = true;
  await expect(settle(clock, parent.acquire('k'))).rejects.toMatchObject({ code: 'store-reset' });
  // And by all that come from it.
  await expect(settle(clock, fork.acquire('other'))).rejects.toMatchObject({ code: 'store-reset' });
  await expect(settle(clock, parent.fork().acquire('k'))).rejects.toMatchObject({ code: 'store-reset' });
});
