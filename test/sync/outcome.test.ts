import { type Grant, SyncError } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { CODES, type Fault, got, isOwnedPut, isWriteTo, setUp, watch } from './faulty.ts';

/** Milliseconds. */
const LATE = 2_500;

describe.each(['queue', 'race'] as const)('%s', (contention) => {
  test.each(CODES)(
    'A5: a put that fails as `%s`, with nothing known, and takes effect late is found and removed',
    async (code) => {
      const { clock, store, make, pause } = setUp(contention);
      let late: Promise<unknown> | undefined;
      const sync = make(async (request, pass) => {
        if (request.verb !== 'commit' || !isOwnedPut(request) || late !== undefined) return await pass();
        late = pause(LATE).then(() => store.commit(request.commit));
        throw new SyncError(code, 'garbled');
      });
      const giver = new AbortController();
      const call = watch(sync.acquire('k', { signal: giver.signal }));
      await clock.advance(10);
      giver.abort(new Error('gave up'));
      await clock.advance(LATE);
      expect(await late).toMatchObject({ ok: true });
      await clock.advance(1_500);
      expect([call.done, call.value, store.records()]).toEqual([true, undefined, []]);
      const other = watch(make().acquire('k'));
      await clock.advance(10);
      expect(got(other).held).toBe(true);
    },
  );

  test.each(CODES)('A5: what fails as `%s` and was refused is not looked for', async (code) => {
    const { clock, make } = setUp(contention);
    let refusing = true;
    let looks = 0;
    const sync = make(async (request, pass) => {
      if (request.verb === 'query') looks += 1;
      if (refusing && isOwnedPut(request)) throw new SyncError(code, 'no', { outcome: 'refused' });
      return await pass();
    });
    const giver = new AbortController();
    const call = watch(sync.acquire('k', { signal: giver.signal }));
    await clock.advance(10);
    giver.abort(new Error('gave up'));
    refusing = false;
    await clock.advance(100);
    const before = looks;
    await clock.advance(20_000);
    expect([call.done, looks]).toEqual([true, before]);
  });

  test('A5: a guarded write that was refused keeps nobody from handing on', async () => {
    const { clock, make } = setUp(contention);
    const refuse: Fault = async (request, pass) => {
      if (isWriteTo('data')(request))
        throw new SyncError('unavailable', 'never sent', { outcome: 'refused' });
      return await pass();
    };
    const sync = make(refuse);
    const [first, second] = [watch(sync.acquire('k')), watch(sync.acquire('k'))];
    await clock.advance(10);
    watch(sync.commit(write(got(first))));
    await clock.advance(0);
    void got(first).release();
    await clock.advance(10);
    expect(got(second).token).toBe(got(first).token + 1n);
  });
});

const write = ({ isOwner, token }: Grant) => ({
  when: [isOwner],
  then: [{ put: 'data', value: String(token) }],
});
