import { expect, test } from 'vitest';
import { backendOf, type Driver, type News, type Request } from '../../src/backends/kit/index.ts';
import type { QueryResult } from '../../src/contract/backend.ts';
import { SyncError } from '../../src/contract/errors.ts';

const { signal } = new AbortController();
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const seen = (at: string): QueryResult => ({ records: [], at });
const rules = { keyProblem: () => undefined, prefixProblem: () => undefined };

/** Answers at once, with what the test has put there. */
function driver(parts: Partial<Driver> = {}): Driver & { at: string; reads: number; ended: boolean } {
  const made = {
    at: '1',
    reads: 0,
    ended: false,
    traits: {
      name: 'tested',
      contention: 'queue',
      ttl: { min: 1, max: 1_000_000 },
      maxLockDelay: 0,
      maxValueBytes: 100,
      maxOperations: 10,
      fencing: 'durable',
      wakes: 'polled',
    },
    keys: rules,
    pollInterval: 5,
    lockPath: (key: string) => key,
    open: async () => ({ id: 's', ttl: 1_000 }),
    renew: async () => 'renewed' as const,
    close: async () => undefined,
    prepare: (commit) => ({ commit }),
    write: (requests: readonly Request[], done) => {
      done(requests.map(() => ({ ok: true, revision: 1n })));
      return () => undefined;
    },
    read: (scopes, done) => {
      made.reads += 1;
      done(scopes.map(() => seen(made.at)));
      return () => undefined;
    },
    end: async () => {
      made.ended = true;
    },
    ...parts,
  } as Driver & { at: string; reads: number; ended: boolean };
  return made;
}

test('where nothing is pushed a query looks from time to time, and there is no watch', async () => {
  const tested = driver();
  const backend = backendOf(tested);
  expect(backend.watch).toBeUndefined();
  const waiting = backend.query({ key: 'k' }, { since: '1', wait: 60_000, signal });
  while (tested.reads < 3) await turn();
  tested.at = '2';
  expect(await waiting).toEqual(seen('2'));
  expect(await backend.query({ key: 'k' }, { since: '1', signal })).toEqual(seen('2'));
  await backend[Symbol.asyncDispose]();
});

test('the end of a wait is a look, and a poll ends with it', async () => {
  const tested = driver();
  const backend = backendOf(tested);
  expect(await backend.query({ key: 'k' }, { since: '1', wait: 20, signal })).toEqual(seen('1'));
  const { reads } = tested;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(tested.reads).toBe(reads);
});

test.each([
  ['failed', 0],
  ['refused', 1],
] as const)(
  'news that following was %s rejects after %i reads, as a read that did nothing',
  async (why, reads) => {
    const error = new SyncError('permission-denied', 'no');
    const tested = driver({
      follow: (_scope, _since, news) => {
        news({ why, error });
        return () => undefined;
      },
    });
    const query = backendOf(tested).query({ key: 'k' }, { since: '1', signal });
    await expect(query).rejects.toMatchObject({ code: 'permission-denied' });
    expect(tested.reads).toBe(reads);
  },
);

test('what was shown is not read again', async () => {
  const tested = driver({
    follow: (_scope, _since, news) => {
      news({ why: 'shown', shown: seen('9') });
      return () => undefined;
    },
  });
  expect(await backendOf(tested).query({ key: 'k' }, { since: '1', signal })).toEqual(seen('9'));
  expect(tested.reads).toBe(0);
});

test('a watch wakes once, never before it has returned, and not after it was taken back', async () => {
  let tell = (_news: News): void => undefined;
  const tested = driver({
    follow: (_scope, since, news) => {
      tell = news;
      if (since === 'old') news({ why: 'changed' });
      return () => undefined;
    },
  });
  const backend = backendOf(tested);
  const wakes: (SyncError | undefined)[] = [];
  backend.watch?.('k', 'old', (error) => wakes.push(error));
  expect(wakes).toEqual([]);
  await turn();
  tell({ why: 'changed' });
  expect(wakes).toEqual([undefined]);
  const cancel = backend.watch?.('k', 'new', (error) => wakes.push(error));
  cancel?.();
  tell({ why: 'changed' });
  expect(wakes).toHaveLength(1);
  await backend[Symbol.asyncDispose]();
  backend.watch?.('k', 'new', (error) => wakes.push(error));
  await turn();
  expect(wakes.at(-1)).toMatchObject({ code: 'stopped' });
});

test('what must not be asked is refused before the driver hears of it', async () => {
  const asked: string[] = [];
  const never = (name: string) => () => {
    asked.push(name);
    throw new Error('asked');
  };
  const backend = backendOf(
    driver({
      prepare: never('prepare'),
      read: never('read'),
      open: never('open'),
      keys: { ...rules, keyProblem: () => 'is bad' },
    }),
  );
  const calls = [
    backend.commit({ when: [], then: [{ remove: 'k' }] }, signal),
    backend.query({ key: 'k' }, { signal }),
    backend.query({ prefix: '', oldest: 0 } as never, { signal }),
    backend.query({ prefix: '' }, { since: '1', wait: -1, signal }),
    backend.openSession({ name: 's', ttl: 0, lockDelay: 0 }, signal),
  ];
  for (const call of calls) await expect(call).rejects.toMatchObject({ outcome: 'refused' });
  expect(() => backend.lockPath('k')).toThrow('is bad');
  expect(asked).toEqual([]);
});

test('every call ends by its signal and by the disposal, whatever the driver does', async () => {
  const inner: AbortSignal[] = [];
  const silent = <T>(given: AbortSignal): Promise<T> => {
    inner.push(given);
    return new Promise(() => undefined);
  };
  let cancelled = 0;
  const nothing = () => () => {
    cancelled += 1;
  };
  const tested = driver({
    open: (_options, given) => silent(given),
    renew: (_id, given) => silent(given),
    close: (_id, given) => silent(given),
    write: nothing,
    read: nothing,
    follow: nothing,
  });
  const backend = backendOf(tested);
  const all = (by: AbortSignal): Promise<PromiseSettledResult<unknown>[]> =>
    Promise.allSettled([
      backend.openSession({ name: 's', ttl: 10, lockDelay: 0 }, by),
      backend.renewSession('s', by),
      backend.closeSession('s', by),
      backend.commit({ when: [], then: [{ remove: 'k' }] }, by),
      backend.query({ key: 'k' }, { signal: by }),
      backend.query({ key: 'k' }, { since: '1', signal: by }),
    ]);
  const controller = new AbortController();
  const aborted = all(controller.signal);
  await turn();
  controller.abort('enough');
  expect((await aborted).map((each) => each.status === 'rejected' && each.reason)).toEqual(
    Array(6).fill('enough'),
  );
  const stopped = all(signal);
  await turn();
  await backend[Symbol.asyncDispose]();
  expect(await stopped).toMatchObject(Array(6).fill({ reason: { code: 'stopped' } }));
  expect(inner.map((given) => given.aborted)).toEqual(Array(6).fill(true));
  expect(cancelled).toBe(6);
  expect(tested.ended).toBe(true);
  expect(await all(signal)).toMatchObject(Array(6).fill({ reason: { code: 'stopped', outcome: 'refused' } }));
});
