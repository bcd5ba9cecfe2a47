import type { Claim, StoredRecord, SyncEvent, SyncManager } from 'holdfast';
import { describe, expect, test } from 'vitest';
import {
  aborted,
  live,
  Managers,
  next,
  sessionOf,
  uniqueKey,
  until,
  type World,
} from '../scenarios/world.ts';

/** What the systems that stand on a manager rely on, on every store. */
export function surfaceRules(world: World): void {
  describe.concurrent(`the surface on ${world.name}`, () => {
    test('a claim is for one: who is later is told so, and the next one has a larger token', async () => {
      await using managers = new Managers(world);
      const [a, b] = [managers.make(), managers.make()];
      const key = uniqueKey('item');
      const first = await claimed(a, key, { value: 'a' });
      expect(first.held).toBe(true);
      expect(await b.claim(key)).toBeUndefined();
      expect(await a.claim(key)).toBeUndefined();
      expect(await recordsOf(b, key)).toMatchObject([
        { key, value: bytes('a'), session: await sessionOf(a) },
      ]);
      await first.release();
      expect(first.signal.reason).toMatchObject({ code: 'released' });
      expect(await recordsOf(b, key)).toEqual([]);
      const second = await claimed(b, key);
      expect(second.token).toBeGreaterThan(first.token);
      await second.release();
      const third = await claimed(a, key);
      expect(third.token).toBeGreaterThan(second.token);
    });

    test('what goes with a claim is in its commit: all or nothing', async () => {
      await using managers = new Managers(world);
      const sync = managers.make();
      const key = uniqueKey('item');
      const [item, note] = [`${key}.item`, `${key}.note`];
      const terms = {
        when: [{ key: item, is: 'absent' }],
        then: [{ put: note, value: '1' }],
        read: { key: note },
      } as const;
      await sync.commit({ then: [{ put: item, value: 'x' }] });
      expect(await sync.claim(key, terms)).toBeUndefined();
      expect(await recordsOf(sync, note)).toEqual([]);
      expect(await recordsOf(sync, key)).toEqual([]);
      await sync.commit({ then: [{ remove: item }] });
      const claim = await claimed(sync, key, terms);
      expect(claim.read).toMatchObject([{ key: note, value: bytes('1') }]);
    });

    test('a claim proves what is written under it, and is no longer believed once it is lost', async () => {
      await using managers = new Managers(world);
      const [a, b] = [managers.make(), managers.make()];
      const key = uniqueKey('item');
      const claim = await claimed(a, key);
      const write = { when: [claim.isOwner], then: [{ put: `${key}.at`, value: '1' }] };
      expect(await a.commit(write)).toMatchObject({ ok: true });
      const lost = aborted(claim.signal);
      await managers.operator().closeSession(await sessionOf(a), live);
      expect(await lost).toMatchObject({ code: 'lost' });
      expect(claim.held).toBe(false);
      expect(await a.commit(write)).toMatchObject({ ok: false });
      await until(async () => {
        await using other = await b.claim(key);
        return other !== undefined && other.token > claim.token;
      });
      // It is not taken again by itself.
      expect(await recordsOf(b, key)).toEqual([]);
    });

    test('a release writes in the commit that removes the record, or says that it did not', async () => {
      await using managers = new Managers(world);
      const sync = managers.make();
      const key = uniqueKey('item');
      const at = `${key}.at`;
      const claim = await claimed(sync, key);
      await claim.release({ then: [{ put: at, value: '7' }] });
      expect(await recordsOf(sync, at)).toMatchObject([{ value: bytes('7') }]);
      expect(await recordsOf(sync, key)).toEqual([]);
      await claim.release();
      await expect(claim.release({ then: [{ put: at, value: '8' }] })).rejects.toMatchObject({
        code: 'lost',
      });

      const second = await claimed(sync, key);
      await remove(managers, sync, key);
      await expect(second.release({ then: [{ put: at, value: '9' }] })).rejects.toMatchObject({
        code: 'lost',
      });
      expect(await recordsOf(sync, at)).toMatchObject([{ value: bytes('7') }]);
    });

    test('a claim that is given back for a reason tells that reason, before the store is asked', async () => {
      await using managers = new Managers(world);
      const sync = managers.make();
      const claim = await claimed(sync, uniqueKey('item'));
      const reason = new Error('preempted');
      const { signal } = claim;
      const released = claim.release({ reason });
      expect(signal.reason).toBe(reason);
      expect(() => claim.assertHeld()).toThrow(reason);
      await released;
    });

    test('a record that nobody owns is left alone, and told', async () => {
      await using managers = new Managers(world);
      const sync = managers.make();
      const key = uniqueKey('item');
      await sync.commit({ then: [{ put: key, value: 'data' }] });
      await expect(sync.claim(key)).rejects.toMatchObject({ code: 'foreign-record' });
      expect(await recordsOf(sync, key)).toMatchObject([{ value: bytes('data') }]);
      await sync.commit({ then: [{ remove: key }] });
      await claimed(sync, key);
    });

    test('what cannot be claimed is refused before any I/O', async () => {
      await using managers = new Managers(world);
      const sync = managers.make();
      const key = uniqueKey('item');
      const code = (name: string): unknown => expect.objectContaining({ code: name, outcome: 'refused' });
      const long = new Uint8Array(2 ** 24);
      await expect(sync.claim(`${key}/.lock/x`)).rejects.toEqual(code('invalid-key'));
      await expect(sync.claim('a//b')).rejects.toEqual(code('invalid-key'));
      await expect(sync.claim(key, { value: long })).rejects.toEqual(code('value-too-large'));
      await expect(sync.claim(key, { vlaue: '' } as never)).rejects.toEqual(code('invalid-option'));
      await expect(sync.claim(key, { when: {} as never })).rejects.toEqual(code('invalid-option'));
      await expect(sync.query({ key: '' })).rejects.toEqual(code('invalid-key'));
      await expect(sync.query({} as never)).rejects.toEqual(code('invalid-option'));
      expect(() => sync.watch({ prefix: 'a//b' })).toThrow(expect.objectContaining({ code: 'invalid-key' }));
      expect(await stateOf(sync)).toBe('idle');

      await using lock = await sync.acquire(`${key}.lock`);
      await expect(sync.claim(lock.key)).rejects.toEqual(code('invalid-key'));
      await using claim = await claimed(sync, key);
      await expect(sync.commit({ then: [{ put: claim.key, value: '' }] })).rejects.toEqual(
        code('invalid-key'),
      );
      await expect(sync.commit({ then: [{ remove: claim.key }] })).rejects.toEqual(code('invalid-key'));
      await expect(claim.release({ then: [{ put: 'a//b', value: '' }] })).rejects.toEqual(
        code('invalid-key'),
      );
      expect(claim.held).toBe(true);
    });

    test('an owned record goes with the session, and a kept one comes back under the next', async () => {
      await using managers = new Managers(world);
      const [sync, other] = [managers.make(), managers.make()];
      const key = uniqueKey('members');
      const [plain, kept] = [`${key}/plain`, `${key}/kept`];
      const lost: SyncEvent[] = [];
      sync.events$.subscribe((event) => event.type === 'record-lost' && lost.push(event));
      await sync.commit({
        then: [
          { put: plain, value: 'p', owned: true },
          { put: kept, value: 'k', owned: true, keep: true },
        ],
      });
      const session = await sessionOf(sync);
      expect(await recordsOf(other, `${key}/`)).toMatchObject([{ session }, { session }]);
      await expect(sync.commit({ then: [{ put: kept, value: 'x' }] })).rejects.toMatchObject({
        code: 'invalid-key',
      });
      await managers.operator().closeSession(session, live);
      await next(sync.session$, (state) => state.name === 'live' && state.id !== session);
      await until(async () => (await recordsOf(other, kept)).length === 1);
      expect(await recordsOf(other, `${key}/`)).toMatchObject([
        { key: kept, session: await sessionOf(sync) },
      ]);
      expect(lost).toEqual([
        { type: 'record-lost', key: plain, kept: false },
        { type: 'record-lost', key: kept, kept: true },
      ]);
      // Plain data again where nothing is owned any more.
      await sync.commit({ then: [{ put: plain, value: 'y' }] });
      await sync.commit({ then: [{ put: kept, value: 'k2', owned: true }] });
      expect(await recordsOf(other, kept)).toMatchObject([{ value: bytes('k2') }]);
      await sync.stop();
      expect(await recordsOf(other, `${key}/`)).toMatchObject([{ key: plain, session: undefined }]);
    });

    test('a change is put together by several, and committed once', async () => {
      await using managers = new Managers(world);
      const sync = managers.make();
      const key = uniqueKey('data');
      const change = sync
        .begin()
        .put(`${key}.a`, '1')
        .when({ key: `${key}.b`, is: 'absent' });
      expect(await sync.commit({ then: [{ put: `${key}.b`, value: '2' }] }, { in: change })).toMatchObject({
        ok: true,
      });
      expect(await recordsOf(sync, `${key}.b`)).toEqual([]);
      const done = await change.read({ key: `${key}.a` }).commit();
      expect(done).toMatchObject({ ok: true, read: [{ value: bytes('1') }] });
      expect(await recordsOf(sync, `${key}.b`)).toMatchObject([{ value: bytes('2') }]);
      await expect(change.commit()).rejects.toMatchObject({ code: 'invalid-option' });
      expect(() => change.remove(key)).toThrow(expect.objectContaining({ code: 'invalid-option' }));
      const late = sync
        .begin()
        .put(`${key}.a`, '9')
        .when({ key: `${key}.b`, is: 'absent' });
      expect(await late.commit()).toMatchObject({ ok: false, why: 'conflict' });
    });

    test('a query answers now, or when there may be something else', async () => {
      await using managers = new Managers(world);
      const [sync, other] = [managers.make(), managers.make()];
      const prefix = `${uniqueKey('data')}/`;
      await sync.commit({ then: [{ put: `${prefix}a`, value: '1' }] });
      const first = await sync.query({ prefix });
      expect(first.records).toMatchObject([{ key: `${prefix}a` }]);
      const later = waitFor(sync, prefix, first.at, 2);
      await other.commit({ then: [{ put: `${prefix}b`, value: '2' }] });
      expect(await later).toMatchObject([{ key: `${prefix}a` }, { key: `${prefix}b` }]);
      const controller = new AbortController();
      const pending = sync.query(
        { prefix },
        { since: (await sync.query({ prefix })).at, wait: 60_000, signal: controller.signal },
      );
      controller.abort(new Error('enough'));
      await expect(pending).rejects.toThrow('enough');
      const last = sync.query({ prefix }, { since: (await sync.query({ prefix })).at, wait: 60_000 });
      await Promise.all([expect(last).rejects.toMatchObject({ code: 'stopped' }), sync.stop()]);
    });

    test('a watch tells what stands, and what stands then, until the manager stops', async () => {
      await using managers = new Managers(world);
      const [sync, other] = [managers.make(), managers.make()];
      const prefix = `${uniqueKey('data')}/`;
      const seen: string[][] = [];
      let complete = false;
      sync.watch({ prefix }).subscribe({
        next: (records) => seen.push(records.map(({ key }) => key.slice(prefix.length))),
        complete: () => {
          complete = true;
        },
      });
      await until(() => seen.length > 0);
      expect(seen).toEqual([[]]);
      for (const name of ['a', 'b', 'c']) await other.commit({ then: [{ put: prefix + name, value: '' }] });
      await until(() => seen.at(-1)?.length === 3);
      await other.commit({ then: [{ remove: `${prefix}b` }] });
      await until(() => seen.at(-1)?.join() === 'a,c');
      await sync.stop();
      expect(complete).toBe(true);
    });

    test('a fork has a session of its own, and ends with its parent', async () => {
      await using managers = new Managers(world);
      const parent = managers.make({ prefix: uniqueKey('team') });
      const fork = parent.fork({ session: { ttl: world.ttl * 2 } });
      const key = 'item';
      const claim = await claimed(fork, key);
      expect(await parent.claim(key)).toBeUndefined();
      await parent.connect();
      expect(await sessionOf(fork)).not.toBe(await sessionOf(parent));
      expect(await recordsOf(parent, key)).toMatchObject([{ session: await sessionOf(fork) }]);
      await fork.stop();
      expect(claim.held).toBe(false);
      // The backend goes on for its parent.
      await using own = await claimed(parent, key);
      const second = parent.fork();
      const last = await claimed(second, 'other');
      await parent.stop();
      expect([own.held, last.held]).toEqual([false, false]);
      await expect(second.claim('x')).rejects.toMatchObject({ code: 'stopped' });
      expect(() => parent.fork()).toThrow(expect.objectContaining({ code: 'stopped' }));
    });

    test('what stands on a manager ends before it, the latest first, and may write', async () => {
      await using managers = new Managers(world);
      const [sync, other] = [managers.make(), managers.make()];
      const key = uniqueKey('item');
      const order: string[] = [];
      const claim = await claimed(sync, key);
      sync.onStop('before-release', async () => {
        order.push('first');
        await expect(sync.claim(`${key}.x`)).rejects.toMatchObject({ code: 'stopped' });
        await claim.release({ then: [{ put: `${key}.at`, value: 'end' }] });
      });
      sync.onStop('before-release', () => {
        order.push('second');
        throw new Error('no matter');
      });
      sync.onStop('before-release', () => order.push('never'))();
      const failures: unknown[] = [];
      sync.events$.subscribe((event) => event.type === 'listener-failed' && failures.push(event.error));
      await sync.stop();
      expect(order).toEqual(['second', 'first']);
      expect(failures).toMatchObject([{ message: 'no matter' }]);
      expect(await recordsOf(other, `${key}.at`)).toMatchObject([{ value: bytes('end') }]);
      expect(await recordsOf(other, key)).toEqual([]);
      await expect(sync.commit({ then: [{ put: key, value: '' }] })).rejects.toMatchObject({
        code: 'stopped',
      });
    });
  });
}

async function claimed(
  sync: SyncManager,
  key: string,
  options?: Parameters<SyncManager['claim']>[1],
): Promise<Claim> {
  const claim = await sync.claim(key, options);
  if (claim === undefined) throw new Error(`${key} was not to be had`);
  return claim;
}

async function recordsOf(sync: SyncManager, place: string): Promise<readonly StoredRecord[]> {
  const scope = place.endsWith('/') ? { prefix: place } : { key: place };
  return (await sync.query(scope)).records;
}

async function waitFor(
  sync: SyncManager,
  prefix: string,
  since: string,
  count: number,
): Promise<readonly StoredRecord[]> {
  for (let at = since; ; ) {
    const seen = await sync.query({ prefix }, { since: at, wait: 10_000 });
    if (seen.records.length >= count) return seen.records;
    at = seen.at;
  }
}

/** As an operator does: the manager itself would refuse. */
async function remove(managers: Managers, sync: SyncManager, key: string): Promise<void> {
  const [record] = await recordsOf(sync, key);
  if (record === undefined) throw new Error('nothing there');
  await managers.operator().commit({ when: [], then: [{ remove: key }] }, live);
}

async function stateOf(sync: SyncManager): Promise<string> {
  return (await next(sync.session$, () => true)).name;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
