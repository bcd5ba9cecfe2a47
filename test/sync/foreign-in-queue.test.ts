import type { Grant, Lock } from 'holdfast';
import { memory } from 'holdfast/memory';
import { describe, expect, test } from 'vitest';
import { withVerbs } from '../with-verbs.ts';
import { settle, setUp, watch } from './faulty.ts';

const PATH = 'k/.lock/';

/** What somebody who knows nothing of locks wrote there. */
function plain(key = `${PATH}1001`) {
  return { when: [], then: [{ put: key, value: Buffer.from('data') }] };
}

function world() {
  const { clock, store, make } = setUp('queue');
  const refusals = (lock: Lock, timeout = 60_000) => watch(lock.lock({ timeout }));
  return { clock, store, make, refusals, keys: () => store.records(PATH).map(({ key }) => key) };
}

describe('A3: a record without a session in a queue', () => {
  test('is told to every caller as foreign, and left untouched', async () => {
    const { clock, store, make, keys } = world();
    store.commit(plain());
    const managers = [make(), make(), make(), make()] as const;
    const [first, second, third, fourth] = managers;
    const asks: (() => Promise<unknown>)[] = [
      () => first.acquire('k'),
      () => first.acquire('k'),
      () => second.tryAcquire('k'),
      () => third.lock('k').lock(),
      () => fourth.acquire('k'),
    ];
    const calls = [];
    for (const ask of asks) {
      calls.push(watch(ask()));
      await clock.advance(100);
    }
    await clock.advance(60_000);
    expect(calls.map(({ code }) => code)).toEqual(calls.map(() => 'foreign-record'));
    // Only the standing claim is left in line.
    expect(keys()).toHaveLength(2);
    expect(keys()).toContain(`${PATH}1001`);
    await settle(clock, Promise.all(managers.map((manager) => manager.stop())));
    expect(keys()).toEqual([`${PATH}1001`]);
  });

  test('keeps a standing claim in line, which holds as soon as it has gone', async () => {
    const { clock, store, make, refusals } = world();
    store.commit(plain());
    const sync = make();
    const lock = sync.lock('k');
    const refused = refusals(lock);
    await clock.advance(1_000);
    expect(refused.code).toBe('foreign-record');
    store.commit({ when: [], then: [{ remove: `${PATH}1001` }] });
    await clock.advance(1_000);
    expect(lock.held).toBe(true);
    await settle(clock, sync.stop());
  });

  test('at the head is told to who waits far behind it, within the time of one wait', async () => {
    const { clock, store, make } = world();
    store.commit(plain());
    const managers = Array.from({ length: 4 }, () => make());
    // Claims that stand are told, and stay in line.
    const standing = managers.slice(0, 3).map((manager) => watch(manager.lock('k').lock()));
    await clock.advance(1_000);
    const last = watch((managers[3] as (typeof managers)[number]).acquire('k'));
    await clock.advance(11_000);
    expect([...standing, last].map(({ code }) => code)).toEqual(Array(4).fill('foreign-record'));
    await settle(clock, Promise.all(managers.map((manager) => manager.stop())));
  });

  test('made of a contender by a plain write is not removed by those behind it: its writer may be about to hold', async () => {
    const { clock, store, make, keys } = world();
    // Somebody else's, such as of a Go program.
    const theirs = store.openSession({ name: 'go', ttl: 3_600_000, lockDelay: 0 });
    const record = PATH + theirs;
    store.commit({ when: [], then: [{ put: record, value: Buffer.from(''), session: theirs }] });
    const sync = make();
    const waiting = watch(sync.acquire('k'));
    await clock.advance(1_000);
    store.commit(plain(record));
    await clock.advance(20_000);
    expect(waiting.code).toBe('foreign-record');
    expect(keys()).toEqual([record]);
    await settle(clock, sync.stop());
  });

  test('over our own contender is removed by us, and only by us', async () => {
    const { clock, store, make } = world();
    const [sync, other] = [make(), make()];
    const lock = sync.lock('k');
    const grant = (await settle(clock, lock.lock())) as Grant;
    const behind = watch(other.acquire('k'));
    await clock.advance(1_000);
    store.commit(plain(grant.isOwner.key));
    await clock.advance(5_000);
    expect([grant.held, behind.done]).toEqual([false, true]);
    expect(behind.value?.held).toBe(true);
    // It stands in line again, behind who holds now.
    expect(store.records(PATH).map(({ session }) => session)).toEqual([
      expect.any(String),
      expect.any(String),
    ]);
    await settle(clock, Promise.all([sync.stop(), other.stop()]));
  });

  test("of somebody else's session under our name is left to it", async () => {
    const { clock, store, make } = world();
    const sync = make();
    const grant = (await settle(clock, sync.acquire('other'))) as Grant;
    const session = grant.isOwner.key.split('/').at(-1) ?? '';
    const theirs = store.openSession({ name: 'go', ttl: 3_600_000, lockDelay: 0 });
    store.commit({ when: [], then: [{ put: PATH + session, value: Buffer.from(''), session: theirs }] });
    const refused = watch(sync.acquire('k'));
    await clock.advance(1_000);
    expect(refused.code).toBe('foreign-record');
    expect(store.records(PATH)).toMatchObject([{ key: PATH + session, session: theirs }]);
    await settle(clock, sync.stop());
    expect(store.records(PATH)).toMatchObject([{ key: PATH + session, session: theirs }]);
  });

  test('over our own contender is removed by us under the next session, too', async () => {
    const { clock, store, make } = world();
    const sync = make();
    const lock = sync.lock('k');
    const { isOwner } = (await settle(clock, lock.lock())) as Grant;
    // Both before we have heard of either.
    store.commit(plain(isOwner.key));
    for (const { id } of store.sessions()) store.destroySession(id);
    await clock.advance(20_000);
    expect(lock.held).toBe(true);
    expect(store.records(PATH)).toHaveLength(1);
    await settle(clock, sync.stop());
    expect(store.records(PATH)).toEqual([]);
  });

  test('that its owner has removed costs those who wait no more looks than before', async () => {
    const { clock, store, make } = world();
    const theirs = store.openSession({ name: 'go', ttl: 3_600_000, lockDelay: 0 });
    const [first, second] = [`${PATH}${theirs}`, `${PATH}${theirs}0`];
    for (const put of [first, second]) {
      store.commit({ when: [], then: [{ put, value: Buffer.from(''), session: theirs }] });
    }
    const inner = memory({ store });
    let looks = 0;
    const backend = withVerbs(inner, {
      query: (scope, options) => {
        if (options.since !== undefined) looks++;
        return inner.query(scope, options);
      },
    });
    const sync = make(undefined, { backend });
    const waiting = watch(sync.acquire('k'));
    await clock.advance(1_000);
    store.commit(plain(second));
    await clock.advance(1_000);
    store.commit({ when: [], then: [{ remove: second }] });
    await clock.advance(1_000);
    const before = looks;
    // One for each TTL, and one under way.
    await clock.advance(60_000);
    expect(looks - before).toBeLessThanOrEqual(7);
    expect(waiting.done).toBe(false);
    await settle(clock, sync.stop());
  });
});
