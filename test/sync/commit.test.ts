import type { SyncCommit } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { memory } from 'holdfast/memory';
import { describe, expect, test } from 'vitest';
import { losses } from '../scenarios/world.ts';
import { withVerbs } from '../with-verbs.ts';
import { type Fault, got, setUp, watch } from './faulty.ts';

/** What no compiler lets pass, but a caller without one may write; and what the message has to name. */
const ambiguous: readonly (readonly [unknown, RegExp])[] = [
  [undefined, /a commit must be an object/],
  [{ when: [], than: [{ put: 'a', value: 'x' }] }, /no `than`/],
  [{ then: [{ put: 'a', value: 'x' }], count: 'a' }, /no `count`/],
  [{ then: [{ put: 'a', remove: 'b', value: 'x' }] }, /`put` and `remove`/],
  [{ then: [{ remove: 'b', value: 'x' }] }, /`value` beside `remove`/],
  [{ then: [{ put: 'a', value: 'x', session: 's' }] }, /`session`/],
  [{ then: [{ value: 'x' }] }, /one of `put` and `remove`/],
  [{ then: [undefined] }, /an object/],
  [{ then: [{ put: 'a', value: 7 }] }, /string or a Uint8Array/],
  [{ then: { put: 'a', value: 'x' } }, /`then` must be an array/],
  [{ when: { key: 'a', is: 'absent' } }, /`when` must be an array/],
  [{ when: [{ key: 'a', is: 'absent', revision: 1n }] }, /`is` and `revision`/],
  [{ when: [{ key: 'a', revision: 1n, session: 's' }] }, /`revision` and `session`/],
  [{ when: [{ key: 'a' }] }, /one of `is`, `revision` and `session`/],
  [{ when: [{ key: 'a', is: 'there' }] }, /"there"/],
  [{ when: [{ key: 'a', revision: 1 }] }, /bigint/],
  [{ when: [{ key: 'a', is: 'absent', handOff: 1 }] }, /`handOff` without `revision`/],
  [{ when: [{ key: 'a', revision: 1n, handOff: -1 }] }, /`handOff` of -1/],
  [{ read: { key: 'a', prefix: 'b' } }, /`key` and `prefix`/],
  [{ read: { key: 'a', oldest: 1 } }, /`oldest` beside `key`/],
  [{ read: { prefix: 'b', oldest: 1, youngest: 1 } }, /`youngest` beside `oldest`/],
  [{ read: { prefix: 'b', youngest: 1 } }, /`before`/],
  [{ read: { prefix: 'b', oldest: 0 } }, /`oldest` of 0/],
];

const counting = () => {
  const asked: string[] = [];
  const fault: Fault = (request, pass) => {
    asked.push(request.verb);
    return pass();
  };
  return { asked, fault };
};

describe.each(['queue', 'race'] as const)('%s: a commit', (contention) => {
  test.each(ambiguous)('A9: %o is refused before any I/O, and told what is wrong', async (commit, named) => {
    const { make } = setUp(contention);
    const { asked, fault } = counting();
    const sync = make(fault);
    const refused = { code: 'invalid-option', outcome: 'refused', message: expect.stringMatching(named) };
    await expect(sync.commit(commit as SyncCommit)).rejects.toMatchObject(refused);
    expect(asked).toEqual([]);
  });

  test('A9: a member that is undefined is no member', async () => {
    const { store, make } = setUp(contention);
    const loose = {
      when: [{ key: 'a', is: 'absent', revision: undefined }],
      then: [{ put: 'a', value: 'x', remove: undefined }],
      read: { key: 'a', prefix: undefined },
    };
    expect(await make().commit(loose as unknown as SyncCommit)).toMatchObject({
      ok: true,
      read: [{ key: 'a' }],
    });
    expect(store.records()).toMatchObject([{ key: 'a' }]);
  });

  test('A9: of more operations than the store takes is refused before any I/O, and told the limit', async () => {
    const { make } = setUp(contention);
    const { asked, fault } = counting();
    const sync = make(fault);
    const limit = contention === 'queue' ? 128 : 62;
    const puts = (count: number) => Array.from({ length: count }, (_, n) => ({ put: `k${n}`, value: '' }));
    const when = [{ key: 'a', is: 'absent' } as const];
    const message = expect.stringContaining(`at most ${limit} `);
    const refused = { code: 'invalid-option', outcome: 'refused', message };
    for (const commit of [
      { then: puts(200) },
      { then: puts(limit + 1) },
      { when, then: puts(limit) },
      { then: puts(limit), read: { key: 'a' } },
    ]) {
      await expect(sync.commit(commit)).rejects.toMatchObject(refused);
    }
    expect(asked).toEqual([]);
    expect(await sync.commit({ when, then: puts(limit - 2), read: { key: 'a' } })).toMatchObject({
      ok: true,
    });
  });

  test.each(['k/.lock/note', '.lock', 'k/.lock', '.lock/k'])(
    'A9: cannot change %s, which is or may be a lock, and may look at it',
    async (key) => {
      const { store, make } = setUp(contention);
      const { asked, fault } = counting();
      const sync = make(fault);
      const refused = {
        code: 'invalid-key',
        outcome: 'refused',
        message: expect.stringContaining('".lock"'),
      };
      for (const then of [[{ put: key, value: 'x' }], [{ remove: key }]]) {
        await expect(sync.commit({ then })).rejects.toMatchObject(refused);
      }
      expect(asked).toEqual([]);
      const then = [{ put: 'k/.locked', value: 'x' }];
      const looked = await sync.commit({ when: [{ key, is: 'absent' }], then, read: { prefix: key } });
      expect([looked.ok, store.records().map((record) => record.key)]).toEqual([true, ['k/.locked']]);
    },
  );

  test('A9: cannot change a key that this process waits for or holds, and may look at it', async () => {
    const { clock, store, make } = setUp(contention);
    const [sync, other] = [make(), make()];
    const then = [{ put: 'orders/42', value: 'x' }];
    const told = { code: 'invalid-key', outcome: 'refused', message: expect.stringContaining('"orders/42"') };
    const refused = async () => {
      await expect(sync.commit({ then })).rejects.toMatchObject(told);
      await expect(sync.commit({ then: [{ remove: 'orders/42' }] })).rejects.toMatchObject(told);
    };
    const theirs = watch(other.acquire('orders/42'));
    await clock.advance(10);
    const ours = watch(sync.acquire('orders/42'));
    await clock.advance(10);
    await refused();
    await got(theirs).release();
    await clock.advance(100);
    expect(got(ours).held).toBe(true);
    await refused();
    const { key } = got(ours).isOwner;
    const looked = await sync.commit({ when: [got(ours).isOwner], read: { key } });
    expect(looked).toMatchObject({ ok: true, read: [{ key }] });
    const below = await sync.commit({ then: [{ put: 'orders/42/state', value: 'paid' }] });
    expect(below.ok).toBe(true);
    const released = watch(got(ours).release());
    await clock.advance(10);
    expect(released.done).toBe(true);
    // It is nobody's lock now, and plain data like any other.
    expect(await sync.commit({ then })).toMatchObject({ ok: true });
    expect(store.records('orders/42').map((record) => record.key)).toEqual(['orders/42', 'orders/42/state']);
  });

  test('A9: cannot change a standing claim, until that is given back', async () => {
    const { clock, make } = setUp(contention);
    const sync = make();
    const lock = sync.lock('k');
    const then = [{ put: 'k', value: 'x' }];
    expect(await sync.commit({ then: [{ remove: 'k' }] })).toMatchObject({ ok: true });
    watch(lock.lock());
    await expect(sync.commit({ then })).rejects.toMatchObject({ code: 'invalid-key' });
    await clock.advance(10);
    await expect(sync.commit({ then })).rejects.toMatchObject({ code: 'invalid-key' });
    watch(lock.release());
    await clock.advance(10);
    expect(await sync.commit({ then })).toMatchObject({ ok: true });
  });
});

test('A9: where contenders race, who holds is told that a commit of another process wrote over the record', async () => {
  const { clock, make } = setUp('race');
  const [sync, other] = [make(), make()];
  const lock = sync.lock('orders/42');
  const lost = losses(lock);
  const grant = watch(lock.lock());
  await clock.advance(200);
  const stale = got(grant).isOwner;
  expect(await other.commit({ then: [{ put: 'orders/42', value: 'x' }] })).toMatchObject({ ok: true });
  await clock.advance(100);
  expect(lost).toMatchObject([{ reason: 'record-overwritten' }]);
  expect(await sync.commit({ when: [stale] })).toMatchObject({ ok: false, why: 'conflict' });
});

test('A9: cannot change what lies where a lock with a name of its own is kept, while it is wanted', async () => {
  const { clock, store, make } = setUp('queue');
  const backend = withVerbs(memory({ store }), { lockPath: (key) => `locks of ${key}/here/` });
  const sync = make(undefined, { backend });
  const put = (key: string) => sync.commit({ then: [{ put: key, value: 'x' }] });
  const grant = watch(sync.acquire('a'));
  await clock.advance(10);
  const told = { code: 'invalid-key', outcome: 'refused', message: expect.stringContaining('lock "a"') };
  for (const key of [got(grant).isOwner.key, 'locks of a/here/note', 'locks of a/here/note/more']) {
    await expect(put(key)).rejects.toMatchObject(told);
  }
  for (const key of ['locks of a', 'locks of a/here', 'locks of a/hereafter', 'locks of b/here/note']) {
    expect(await put(key)).toMatchObject({ ok: true });
  }
  watch(got(grant).release());
  await clock.advance(10);
  expect(await put('locks of a/here/note')).toMatchObject({ ok: true });
});

test.each([
  ['memory', () => memory()],
  ['etcd', () => etcd({ hosts: '127.0.0.1:1' })],
  ['etcd, with locks named as in Go', () => etcd({ hosts: '127.0.0.1:1', lockName: (key) => key })],
  ['consul', () => consul({ addresses: ['127.0.0.1:1'] })],
] as const)('A9: the same mistake is the same error on %s', async (name, open) => {
  const { make } = setUp('queue');
  const sync = make(undefined, { backend: open() });
  const claim = watch(sync.acquire('orders'));
  const wrong = async (commit: unknown, code: string) =>
    expect(sync.commit(commit as SyncCommit)).rejects.toMatchObject({ code, outcome: 'refused' });
  const many = Array.from({ length: 200 }, (_, n) => ({ put: `k${n}`, value: '' }));
  await wrong({ then: many }, 'invalid-option');
  await wrong({ then: [{ put: 'a', remove: 'b', value: '' }] }, 'invalid-option');
  await wrong({ when: [{ key: 'a', is: 'absent', revision: 1n }] }, 'invalid-option');
  await wrong({ then: [{ put: 'k/.lock/note', value: '' }] }, 'invalid-key');
  await wrong({ then: [{ put: 'orders', value: '' }] }, 'invalid-key');
  if (name.endsWith('Go')) await wrong({ then: [{ put: 'orders/1001', value: '' }] }, 'invalid-key');
  await sync.stop({ timeout: 1 });
  expect(claim.code ?? 'granted').toMatch(/stopped|granted/);
});
