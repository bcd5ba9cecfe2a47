import { SyncManager, type SyncManagerOptions } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { firstValueFrom } from 'rxjs';
import { filter } from 'rxjs/operators';
import { describe, expect, test } from 'vitest';

type Options = Partial<SyncManagerOptions>;

describe.each(['queue', 'race'] as const)('E6: a prefix, where contenders %s', (contention) => {
  const make = (store: MemoryStore, options: Options): SyncManager =>
    new SyncManager({ name: 'svc', backend: memory({ store }), ...options });

  test('everything of a manager is kept below it, and its callers do not see it', async () => {
    const store = new MemoryStore({ contention });
    await using sync = make(store, { prefix: 'team-a' });
    await sync.leadershipLock().lock();
    const grant = await sync.acquire('orders/42');
    expect(grant.key).toBe('orders/42');
    const written = await sync.commit({
      when: [grant.isOwner, { key: 'orders/42/state', is: 'absent' }],
      then: [{ put: 'orders/42/state', value: 'paid' }],
      read: { prefix: 'orders/42/' },
    });
    expect(written.ok).toBe(true);
    const told = 'read' in written ? (written.read ?? []) : [];
    expect(told.map(({ key }) => key)).toContain('orders/42/state');
    const keys = store.records().map(({ key }) => key);
    expect(keys).toHaveLength(3);
    expect(keys.every((key) => key.startsWith('team-a/'))).toBe(true);

    const again = await sync.commit({
      when: [{ key: 'orders/42/state', is: 'absent' }],
      read: { key: 'orders/42/state' },
    });
    expect(again).toMatchObject({ ok: false, why: 'conflict', read: [{ key: 'orders/42/state' }] });
    const removed = await sync.commit({ when: [grant.isOwner], then: [{ remove: 'orders/42/state' }] });
    expect(removed.ok).toBe(true);
    await grant.release();
    // A former holder's proof is refused here, with what it asked for.
    await sync.commit({ then: [{ put: 'orders/42/note', value: '' }] });
    const late = await sync.commit({ when: [grant.isOwner], read: { prefix: 'orders/42/n' } });
    expect(late).toMatchObject({ ok: false, read: [{ key: 'orders/42/note' }] });
  });

  test('managers below different prefixes do not meet, those below the same one do', async () => {
    const store = new MemoryStore({ contention });
    await using a = make(store, { prefix: 'team-a' });
    await using b = make(store, { prefix: 'team-b' });
    await using sameAsA = make(store, { prefix: 'team-a/' });
    await using outside = make(store, {});
    await a.acquire('k');
    expect((await b.tryAcquire('k'))?.held).toBe(true);
    expect(await sameAsA.tryAcquire('k')).toBeUndefined();
    expect(await outside.tryAcquire('team-a/k')).toBeUndefined();
    await a.leadershipLock().lock();
    expect((await b.leadershipLock().tryLock())?.held).toBe(true);
    expect(await sameAsA.leadershipLock().tryLock()).toBeUndefined();
    const holder = await firstValueFrom(sameAsA.observe('k').pipe(filter((seen) => seen !== undefined)));
    expect(holder?.metadata).toMatchObject({ service: 'svc' });
  });

  test('what a commit must leave alone is named as its caller names it', async () => {
    const store = new MemoryStore({ contention });
    await using sync = make(store, { prefix: 'team-a' });
    await sync.acquire('orders/42');
    await expect(sync.commit({ then: [{ put: 'orders/42', value: '' }] })).rejects.toMatchObject({
      code: 'invalid-key',
      message: expect.stringMatching(/^key "orders\/42" is a lock or a claim that this process holds/),
    });
    await expect(sync.commit({ then: [{ put: 'x/.lock', value: '' }] })).rejects.toMatchObject({
      code: 'invalid-key',
    });
  });

  test('the key of leadership can be chosen', async () => {
    const store = new MemoryStore({ contention });
    await using sync = make(store, { leadershipKey: 'team-a/leader', prefix: 'p' });
    await using other = make(store, { name: 'another', leadershipKey: 'p/team-a/leader' });
    expect(sync.leadershipLock().key).toBe('team-a/leader');
    await sync.leadership.lock.lock();
    expect(await other.leadership.lock.tryLock()).toBeUndefined();
    expect(sync.health().leader).toBe(true);
    const leader = await firstValueFrom(other.leadership.leader$.pipe(filter((seen) => seen !== undefined)));
    expect(leader?.metadata).toMatchObject({ service: 'svc' });
  });
});

test.each<[Options, RegExp]>([
  [{ prefix: '/a' }, /option "prefix" has an empty segment/],
  [{ prefix: 'a//' }, /option "prefix" has an empty segment/],
  [{ prefix: '/' }, /option "prefix" has an empty segment/],
  [{ prefix: 7 as never }, /option "prefix" must be a string/],
  [{ prefix: 'a/.lock' }, /option "prefix" has the segment ".lock"/],
  [{ prefix: 'x'.repeat(1_010) }, /option "prefix" is too long: the leadership key has 10\d\d bytes/],
  [{ leadershipKey: '' }, /option "leadershipKey" must not be empty/],
  [{ leadershipKey: 'a/' }, /option "leadershipKey" has an empty segment/],
  [{ leadershipKey: 'a/.lock/b' }, /option "leadershipKey" has the segment ".lock"/],
])('E6: %j is refused by name', (options, message) => {
  expect(() => new SyncManager({ name: 'svc', backend: memory(), ...options })).toThrow(
    expect.objectContaining({ code: 'invalid-option', message: expect.stringMatching(message) }),
  );
});

test('E6: a key that is too long together with the prefix is refused before any I/O', async () => {
  const store = new MemoryStore();
  await using sync = new SyncManager({ name: 'svc', backend: memory({ store }), prefix: 'x'.repeat(500) });
  const key = 'k'.repeat(600);
  const refused = {
    code: 'invalid-key',
    message: expect.stringMatching(/below the manager's prefix, has 1101 bytes/),
  };
  await expect(sync.acquire(key)).rejects.toMatchObject(refused);
  expect(() => sync.lock(key)).toThrow(expect.objectContaining(refused));
  expect(() => sync.observe(key)).toThrow(expect.objectContaining(refused));
  await expect(sync.commit({ then: [{ put: key, value: '' }] })).rejects.toMatchObject(refused);
  await expect(sync.commit({ when: [{ key, is: 'absent' }] })).rejects.toMatchObject(refused);
  await expect(sync.commit({ read: { prefix: key } })).rejects.toMatchObject(refused);
  expect(store.sessions()).toEqual([]);
});
