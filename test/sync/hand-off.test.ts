import { type Grant, type Proof, SyncError, type SyncManager } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { CODES, type Fault, got, isOwnedPut, isRemoval, isWriteTo, setUp, watch } from './faulty.ts';

/** Counts what goes to the store for the sake of locks. */
function counting() {
  const seen = { acquires: 0, releases: 0 };
  const fault: Fault = (request, pass) => {
    if (isOwnedPut(request)) seen.acquires++;
    if (isRemoval(request)) seen.releases++;
    return pass();
  };
  return { seen, fault };
}

/** So many callers at once, each of which holds for a moment. Gives the tokens in the order of the grants. */
function crowd(sync: SyncManager, size: number, hold: () => Promise<void>): bigint[] {
  const tokens: bigint[] = [];
  for (let number = 0; number < size; number++) {
    watch(
      sync.withLock('k', async ({ token }) => {
        tokens.push(token);
        await hold();
      }),
    );
  }
  return tokens;
}

const ascending = (tokens: readonly bigint[]): bigint[] => tokens.toSorted((a, b) => (a < b ? -1 : 1));

describe.each(['queue', 'race'] as const)('%s: callers of one process', (contention) => {
  test('pass the lock on without asking the store, each with a larger token', async () => {
    const { clock, make, pause } = setUp(contention);
    const { seen, fault } = counting();
    const tokens = crowd(make(fault), 100, () => pause(0.5));
    await clock.advance(500);
    expect(tokens).toHaveLength(100);
    expect(tokens).toEqual(ascending([...new Set(tokens)]));
    expect(seen).toEqual({ acquires: 1, releases: 1 });
  });

  test('ask the store again after so many hand-offs', async () => {
    const { clock, make } = setUp(contention);
    const { seen, fault } = counting();
    const tokens = crowd(make(fault, { handOff: { limit: 3 } }), 12, async () => {});
    await clock.advance(500);
    expect(tokens).toEqual(ascending([...new Set(tokens)]));
    expect([tokens.length, seen]).toEqual([12, { acquires: 3, releases: 3 }]);
  });

  test('ask the store again after so long', async () => {
    const { clock, make, pause } = setUp(contention);
    const { seen, fault } = counting();
    const tokens = crowd(make(fault, { handOff: { within: 25 } }), 12, () => pause(10));
    await clock.advance(500);
    expect([tokens.length, seen]).toEqual([12, { acquires: 4, releases: 4 }]);
  });

  test('leave others their turn', async () => {
    const { clock, make, pause } = setUp(contention);
    const held: string[] = [];
    for (const name of ['one', 'other']) {
      const sync = make((_, pass) => pause(1).then(pass), { handOff: { limit: 4 } });
      crowd(sync, 50, async () => void held.push(name));
    }
    await clock.advance(2_000);
    expect(held).toHaveLength(100);
    const turns = held.filter((name, place) => name !== held[place - 1]);
    // Ten holdings of five each, taken in turns but for the last.
    expect(turns.length).toBeGreaterThan(15);
  });

  test('get nothing once the deadline is over, also when no timer has run', async () => {
    const { clock, make } = setUp(contention);
    const sync = make(undefined, { handOff: { within: 60_000 } });
    const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
    await clock.advance(50);
    clock.stall(20_000);
    void got(first).release();
    expect(second.done).toBe(false);
    await clock.advance(1_000);
    expect(got(second).held).toBe(true);
    expect(got(second).token >> 16n).toBeGreaterThan(got(first).token >> 16n);
  });

  test.each<[string, (proof: Proof) => Proof]>([
    ['the proof itself', (proof) => proof],
    ['a clone of it (A8)', structuredClone],
  ])('wait for the writes of the one before, under %s', async (_, of) => {
    const { clock, make, pause } = setUp(contention);
    const sync = make(async (request, pass) => {
      if (isWriteTo('data')(request)) await pause(50);
      return await pass();
    });
    const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
    await clock.advance(10);
    const writing = watch(sync.commit({ ...write(got(first)), when: [of(got(first).isOwner)] }));
    void got(first).release();
    await clock.advance(40);
    expect(second.done).toBe(false);
    await clock.advance(20);
    expect([writing.value?.ok, got(second).token]).toEqual([true, got(first).token + 1n]);
  });

  test.each(CODES)(
    'do not share a record with a write that failed as `%s`, with nothing known (A5)',
    async (code) => {
      const { clock, make, pause } = setUp(contention);
      let late: Promise<unknown> | undefined;
      const sync = make(async (request, pass) => {
        if (!isWriteTo('data')(request) || late !== undefined) return await pass();
        late = pause(60).then(pass);
        throw new SyncError(code, 'no answer');
      });
      const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
      await clock.advance(10);
      const lost = watch(sync.commit(write(got(first))));
      void got(first).release();
      await clock.advance(30);
      expect([lost.code, got(second).held]).toEqual([code, true]);
      await clock.advance(100);
      expect(await late).toMatchObject({ ok: false, why: 'conflict' });
    },
  );

  test('cannot write any more under a proof that was handed on, nor under a copy of it', async () => {
    const { clock, make } = setUp(contention);
    const sync = make();
    const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
    await clock.advance(10);
    void got(first).release();
    await clock.advance(10);
    const fresh = watch(sync.commit(write(got(second))));
    await clock.advance(10);
    expect(fresh.value?.ok).toBe(true);
    const { isOwner } = got(first);
    const stale = watch(sync.commit({ ...write(got(first)), read: { key: 'data' } }));
    const copied = watch(sync.commit({ ...write(got(first)), when: [{ ...isOwner }] }));
    await clock.advance(10);
    expect(stale.value).toMatchObject({ ok: false, why: 'conflict', read: [{ key: 'data' }] });
    expect(copied.value).toEqual({ ok: false, why: 'conflict' });
  });

  describe('A7: do not hand on what is gone', () => {
    const taken = async (
      { clock, store }: ReturnType<typeof setUp>,
      first: { readonly value: Grant | undefined },
      second: { readonly done: boolean; readonly value: Grant | undefined },
    ): Promise<void> => {
      const [{ key = '', session = '' } = {}] = store.records();
      const rival = store.openSession({ name: 'rival', ttl: 10_000, lockDelay: 0 });
      const theirs = key.replace(session, rival);
      store.commit({ when: [], then: [{ remove: key }] });
      const put = { put: theirs, value: new Uint8Array(), session: rival };
      const result = store.commit({ when: [{ key: theirs, is: 'absent' }], then: [put] });
      if (!result.ok) throw new Error('not taken');
      await clock.advance(20);
      void got(first).release();
      await clock.advance(20);
      expect([got(first).signal.reason?.code, second.done]).toEqual(['lost', false]);
      store.closeSession(rival);
      await clock.advance(20);
      expect(got(second).token).toBeGreaterThan(result.revision << 16n);
    };

    test('to who waited when it was acquired', async () => {
      const world = setUp(contention);
      const sync = world.make();
      const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
      await world.clock.advance(10);
      await taken(world, first, second);
    });

    test('to who came while it was held', async () => {
      const world = setUp(contention);
      const sync = world.make();
      const first = watch(sync.acquire('k'));
      await world.clock.advance(10);
      const second = watch(sync.acquire('k'));
      await world.clock.advance(10);
      await taken(world, first, second);
    });

    test('to a standing claim', async () => {
      const world = setUp(contention);
      const sync = world.make();
      const first = watch(sync.acquire('k'));
      await world.clock.advance(10);
      const second = watch(sync.lock('k').lock());
      await world.clock.advance(10);
      await taken(world, first, second);
    });
  });

  test('A7: cost one watch for each time that the lock is acquired, and none for a hand-off', async () => {
    const { clock, make, pause } = setUp(contention);
    const seen = { looks: 0, watches: 0 };
    const sync = make(
      (request, pass) => {
        if (request.verb === 'query') seen[request.since === undefined ? 'looks' : 'watches'] += 1;
        return pass();
      },
      { handOff: { limit: 49 } },
    );
    const tokens = crowd(sync, 100, () => pause(0.5));
    await clock.advance(500);
    expect(tokens).toHaveLength(100);
    expect(new Set(tokens.map((token) => token >> 16n)).size).toBe(2);
    expect(seen).toEqual({ looks: 2, watches: 2 });
    // Alone, none at all.
    for (let cycle = 0; cycle < 10; cycle++) {
      const grant = watch(sync.acquire('k'));
      await clock.advance(20);
      void got(grant).release();
      await clock.advance(1);
    }
    expect(seen).toEqual({ looks: 2, watches: 2 });
  });

  test('share it with a standing claim, both ways', async () => {
    const { clock, make } = setUp(contention);
    const { seen, fault } = counting();
    const sync = make(fault);
    const [first, lock] = [watch(sync.acquire('k')), sync.lock('k')];
    watch(lock.lock());
    const last = watch(sync.acquire('k'));
    await clock.advance(10);
    void got(first).release();
    expect(lock.grant?.token).toBe(got(first).token + 1n);
    void lock.release();
    await clock.advance(1);
    expect([got(last).token, lock.held]).toEqual([got(first).token + 2n, false]);
    expect(seen.acquires).toBe(1);
  });

  test('are told of a loss by the one who holds it then, and the others wait on', async () => {
    const { clock, store, make } = setUp(contention);
    const sync = make();
    const first = watch(sync.acquire('k'));
    const second = watch(sync.acquire('k'));
    const third = watch(sync.acquire('k'));
    await clock.advance(10);
    void got(first).release();
    await clock.advance(200);
    for (const { id } of store.sessions()) store.destroySession(id);
    await clock.advance(100);
    expect(got(second).signal.reason).toMatchObject({ code: 'lost' });
    expect(got(third).held).toBe(true);
  });

  test.each(['a scoped', 'a standing'])(
    'do not get it from %s holder of a manager that stops',
    async (kind) => {
      const { clock, make } = setUp(contention);
      const sync = make();
      const held: unknown[] = [];
      sync.events$.subscribe(({ type }) => type === 'lock-held' && held.push(type));
      const first = watch(kind === 'a standing' ? sync.lock('k').lock() : sync.acquire('k'));
      await clock.advance(10);
      const calls = Array.from({ length: 20 }, () => watch(sync.acquire('k')));
      await clock.advance(10);
      expect(first.done).toBe(true);
      const stopped = watch(sync.stop());
      await clock.advance(100);
      expect([stopped.done, held.length]).toEqual([true, 1]);
      expect(calls.every(({ code }) => code === 'stopped')).toBe(true);
    },
  );
});

const write = ({ isOwner, token }: Grant) => ({
  when: [isOwner],
  then: [{ put: 'data', value: String(token) }],
});
