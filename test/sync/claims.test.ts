import { type Claim, type Commit, SyncError, type SyncManager } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { type Fault, got, hang, isOwnedPut, isWriteTo, settle, setUp, watch } from './faulty.ts';

const noAnswer = (): SyncError => new SyncError('unavailable', 'no answer');
const refusal = (code: 'unavailable' | 'permission-denied'): SyncError =>
  new SyncError(code, 'no', { outcome: 'refused' });

const then = [{ put: 'k.note', value: 'mine' }];

describe.each(['queue', 'race'] as const)('claims (%s)', (contention) => {
  const begin = (fault?: Fault) => {
    const { clock, store, make, pause } = setUp(contention);
    const sync = make(fault);
    const claimed = async (of: SyncManager, options?: Parameters<SyncManager['claim']>[1]): Promise<Claim> =>
      got({ value: await settle(clock, of.claim('k', options)) });
    const standing = (): readonly string[] => store.records('k').map(({ key }) => key);
    const nothing = (): Promise<void> => clock.runUntil(() => standing().length === 0, 5_000);
    return { clock, store, make, pause, sync, claimed, standing, nothing };
  };

  test('who gives up while the request is on its way leaves nothing behind, though it succeeds', async () => {
    const world = begin(async (request, pass) => {
      const answer = await pass();
      if (isOwnedPut(request)) await world.pause(100);
      return answer;
    });
    const { clock, sync, standing, nothing } = world;
    const controller = new AbortController();
    const call = watch(sync.claim('k', { signal: controller.signal }));
    await clock.runUntil(() => standing().length === 1);
    controller.abort(new Error('enough'));
    await nothing();
    expect(call).toMatchObject({ done: true, value: undefined });
    // And it is to be had again.
    await world.claimed(sync);
  });

  test('who does not get it is told whether something may have been written', async () => {
    let lose = false;
    const { clock, make, sync, claimed } = begin((request, pass) => {
      if (!isOwnedPut(request) || !lose) return pass();
      lose = false;
      return Promise.reject(noAnswer());
    });
    await claimed(make());
    expect(await settle(clock, sync.claim('k', { then }))).toBeUndefined();
    lose = true;
    expect(await settle(clock, sync.claim('k'))).toBeUndefined();
    lose = true;
    const told = settle(clock, sync.claim('k', { then }));
    await expect(told).rejects.toMatchObject({ code: 'unavailable', outcome: 'unknown' });
  });

  test('a refusal says nothing about the request before it', async () => {
    const answers = [noAnswer(), refusal('permission-denied')];
    const { clock, sync } = begin((request, pass) => {
      const answer = isOwnedPut(request) ? answers.shift() : undefined;
      return answer === undefined ? pass() : Promise.reject(answer);
    });
    const told = settle(clock, sync.claim('k', { then }));
    await expect(told).rejects.toMatchObject({ outcome: 'unknown', cause: { code: 'permission-denied' } });
  });

  test('a request that was carried out twice is known for its own', async () => {
    const { store, sync, claimed } = begin(async (request, pass) => {
      if (isOwnedPut(request)) await pass();
      return await pass();
    });
    const options = { when: [{ key: 'k.note', is: 'absent' }], then, read: { key: 'k.note' } } as const;
    const claim = await claimed(sync, options);
    expect(claim.read).toMatchObject([{ key: 'k.note' }]);
    expect(store.records('k')).toMatchObject([{ revision: claim.isOwner.revision }, { key: 'k.note' }]);
  });

  test('a claim whose record was written over is over, and what stands in its place is removed', async () => {
    const { clock, store, sync, claimed, nothing } = begin();
    const claim = await claimed(sync);
    const [session] = store.sessions();
    store.commit({
      when: [],
      then: [{ put: 'k', value: Buffer.from('x'), session: got({ value: session }).id }],
    });
    await clock.runUntil(() => !claim.held);
    await nothing();
    await claimed(sync);
  });

  test('what an earlier claim left behind late is removed, whatever became of the one after it', async () => {
    let late: Commit | undefined;
    let lose = true;
    const { clock, store, make, sync, claimed, standing, nothing } = begin((request, pass) => {
      if (!lose || request.verb !== 'commit' || !isOwnedPut(request)) return pass();
      late ??= request.commit;
      return Promise.reject(noAnswer());
    });
    await expect(settle(clock, sync.claim('k', { timeout: 200 }))).rejects.toMatchObject({ code: 'timeout' });
    lose = false;
    const other = await claimed(make());
    await clock.runUntil(() => standing().length === 1);
    await expect(settle(clock, sync.claim('k'))).resolves.toBeUndefined();
    await settle(clock, other.release());
    store.commit(got({ value: late }));
    expect(standing()).toEqual(['k']);
    await nothing();
  });

  test('what is written with a release is unknown when the session ends while it is on its way', async () => {
    const { clock, store, sync, claimed } = begin(async (request, pass) => {
      const answer = await pass();
      return isWriteTo('k.note')(request) ? hang(request.signal) : answer;
    });
    const claim = await claimed(sync);
    const release = watch(claim.release({ then }));
    await clock.runUntil(() => store.records('k.note').length === 1);
    for (const { id } of store.sessions()) store.destroySession(id);
    await clock.runUntil(() => release.done);
    expect(release.code).toBe('unavailable');
  });

  test('what is refused with a release for too long is told so, and not written later', async () => {
    let refuse = true;
    const { clock, sync, claimed, standing, nothing } = begin((request, pass) =>
      refuse && request.verb === 'commit' && request.commit.then.some(({ remove }) => remove === 'k')
        ? Promise.reject(refusal('unavailable'))
        : pass(),
    );
    const claim = await claimed(sync);
    const told = settle(clock, claim.release({ then }));
    await expect(told).rejects.toMatchObject({ code: 'unavailable', outcome: 'refused' });
    expect(standing()).toEqual(['k']);
    refuse = false;
    await nothing();
  });

  test('a release that waits for its own writes ends in good order when the manager stops', async () => {
    const world = begin(async (request, pass) => {
      if (isWriteTo('k.at')(request)) await world.pause(300);
      return await pass();
    });
    const { clock, store, sync, claimed } = world;
    const claim = await claimed(sync);
    const write = watch(sync.commit({ when: [claim.isOwner], then: [{ put: 'k.at', value: '1' }] }));
    const release = watch(claim.release({ then }));
    await settle(clock, sync.stop());
    expect([write.value, write.code, release.done, release.code]).toEqual([
      expect.objectContaining({ ok: true }),
      undefined,
      true,
      undefined,
    ]);
    expect(store.records('k').map(({ key }) => key)).toEqual(['k.at', 'k.note']);
  });

  test('one key of a process is a claim, a lock or an owned record', async () => {
    const { clock, sync, claimed } = begin();
    const lock = sync.lock('k');
    const claim = await claimed(sync);
    const isRefused = { code: 'invalid-key', outcome: 'refused' };
    await expect(sync.acquire('k')).rejects.toMatchObject(isRefused);
    await expect(sync.tryAcquire('k')).rejects.toMatchObject(isRefused);
    await expect(lock.tryLock()).rejects.toMatchObject(isRefused);
    await settle(clock, claim.release());
    const put = sync.commit({ then: [{ put: 'k', value: '', owned: true }] });
    await expect(sync.claim('k')).rejects.toMatchObject(isRefused);
    await settle(clock, put);
    await expect(sync.acquire('k')).rejects.toMatchObject(isRefused);
    await settle(clock, sync.commit({ then: [{ remove: 'k' }] }));
    await settle(
      clock,
      sync.withLock('k', () => undefined),
    );
  });

  test('what goes with a claim is plain data, and not its own record', async () => {
    const { clock, sync, claimed, standing } = begin();
    const owned = { then: [{ put: 'k.note', value: '', owned: true }] } as const;
    await expect(sync.claim('k', owned)).rejects.toMatchObject({ code: 'invalid-option' });
    await expect(sync.claim('k', { then: [{ put: 'k', value: '' }] })).rejects.toMatchObject({
      code: 'invalid-key',
    });
    const claim = await claimed(sync);
    await expect(claim.release(owned)).rejects.toMatchObject({ code: 'invalid-option' });
    expect(claim.held).toBe(true);
    await settle(clock, claim.release());
    expect(standing()).toEqual([]);
  });

  test('a kept record that a claim or its release removes does not come back', async () => {
    const { clock, store, sync, claimed } = begin();
    const keep = (key: string) =>
      settle(clock, sync.commit({ then: [{ put: key, value: '', owned: true, keep: true }] }));
    for (const key of ['k.a', 'k.b', 'k.c']) await keep(key);
    const claim = await claimed(sync, { then: [{ remove: 'k.a' }] });
    await settle(clock, claim.release({ then: [{ remove: 'k.b' }] }));
    for (const { id } of store.sessions()) store.destroySession(id);
    await clock.runUntil(() => store.records('k').length > 0 && store.sessions().length === 1);
    await clock.advance(2_000);
    expect(store.records('k').map(({ key }) => key)).toEqual(['k.c']);
  });
});
