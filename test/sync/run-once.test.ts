import { type RunOnceOptions, SyncError, SyncManager, type SyncManagerOptions } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { describe, expect, test } from 'vitest';
import { type Fault, hang, isWriteTo, settle, setUp, watch } from './faulty.ts';

const HOUR = 3_600_000;
const NOTE = 'job.last-run';
const unanswered = () => new SyncError('unavailable', 'no answer');

describe.each(['queue', 'race'] as const)('E8: runOnce, where contenders %s', (contention) => {
  const world = (fault?: Fault, options?: Partial<SyncManagerOptions>) => {
    const { clock, store, make } = setUp(contention);
    return { clock, store, sync: make(fault, options), other: make() };
  };

  test.each([
    ['applied', [true], { ran: true, value: 1 }],
    ['lost on the way', [false], { ran: true, value: 1 }],
    ['applied the second time', [false, true], undefined],
    ['lost twice', [false, false], undefined],
  ] as const)('a note without an answer, %s', async (_, applied, expected) => {
    let noted = 0;
    const { clock, store, sync, other } = world(async (request, pass) => {
      if (!isWriteTo(NOTE)(request)) return pass();
      const fate = applied[noted];
      noted += 1;
      if (fate === undefined) return pass();
      if (fate) await pass();
      throw unanswered();
    });
    let runs = 0;
    const run = watch(sync.runOnce('job', { atLeast: HOUR }, () => ++runs));
    await clock.runUntil(() => run.done);
    expect([run.value, run.code]).toEqual([expected, expected ? undefined : 'unavailable']);
    expect(runs).toBe(expected ? 1 : 0);
    // Never twice, and nothing of the lock is left.
    const again = await settle(
      clock,
      other.runOnce('job', { atLeast: HOUR }, () => ++runs),
    );
    expect(again.ran).toBe(!expected && !applied.some(Boolean));
    expect(runs).toBeLessThanOrEqual(1);
    expect(store.records().map(({ key }) => key)).toEqual([NOTE]);
    await settle(clock, Promise.all([sync.stop(), other.stop()]));
  });

  test('a lock that is lost before the note is made runs nothing, and somebody else does', async () => {
    let stolen = false;
    const { clock, store, sync, other } = world(async (request, pass) => {
      if (isWriteTo(NOTE)(request) && !stolen) {
        stolen = true;
        for (const session of store.sessions()) store.destroySession(session.id);
      }
      return pass();
    });
    let runs = 0;
    const first = await settle(
      clock,
      sync.runOnce('job', { atLeast: HOUR }, () => ++runs),
    );
    expect([first, runs]).toEqual([{ ran: false, why: expect.any(String) }, 0]);
    const second = await settle(
      clock,
      other.runOnce('job', { atLeast: HOUR }, () => ++runs),
    );
    expect([second.ran, runs]).toEqual([true, 1]);
    await settle(clock, Promise.all([sync.stop(), other.stop()]));
  });

  test('who cannot look is told so at once, and trouble is told', async () => {
    let out = false;
    const { clock, sync, other } = world(async (_, pass) => {
      if (out) throw unanswered();
      return pass();
    });
    await settle(clock, sync.connect());
    const troubles: unknown[] = [];
    sync.events$.subscribe((event) => {
      if (event.type === 'trouble') troubles.push(event.error);
    });
    out = true;
    expect(
      await settle(
        clock,
        sync.runOnce('job', { atLeast: HOUR }, () => 1),
      ),
    ).toEqual({
      ran: false,
      why: 'not-obtained',
    });
    expect(troubles).not.toEqual([]);
    await settle(clock, Promise.all([sync.stop(), other.stop()]));
  });

  test('ten times a second through a minute without the store: one call waits at most, and one run follows', async () => {
    let out = false;
    const { clock, sync, other } = world(async (_, pass) => {
      if (!out) return pass();
      await new Promise<void>((resolve) => void clock.after(3_000, resolve));
      throw unanswered();
    });
    await settle(clock, sync.connect());
    out = true;
    let [pending, most, runs] = [0, 0, 0];
    const strike = async (): Promise<void> => {
      pending += 1;
      const done = (): void => {
        pending -= 1;
      };
      sync.runOnce('job', { atLeast: HOUR }, () => ++runs).then(done, done);
      await clock.advance(100);
      most = Math.max(most, pending);
    };
    for (let n = 0; n < 600; n++) await strike();
    expect(runs).toBe(0);
    out = false;
    for (let n = 0; n < 200; n++) await strike();
    expect([most, runs, pending]).toEqual([1, 1, 0]);
    await settle(clock, Promise.all([sync.stop(), other.stop()]));
  });

  test('its limits end a look', async () => {
    const { clock, sync, other } = world(async (request, pass) => {
      if (request.verb === 'commit' && request.commit.read !== undefined) return hang(request.signal);
      return pass();
    });
    await settle(clock, sync.connect());
    const late = watch(sync.runOnce('job', { atLeast: HOUR, timeout: 500 }, () => 1));
    const controller = new AbortController();
    const aborted = watch(sync.runOnce('other', { atLeast: HOUR, signal: controller.signal }, () => 1));
    await clock.advance(501);
    expect([late.done, late.code]).toEqual([true, 'timeout']);
    controller.abort(new SyncError('released', 'enough'));
    await clock.advance(1);
    expect(aborted.code).toBe('released');
    await settle(clock, Promise.all([sync.stop(), other.stop()]));
    await expect(sync.runOnce('job', { atLeast: 1 }, () => 1)).rejects.toMatchObject({ code: 'stopped' });
  });
});

test('B3, E8: a lock that is given back unused is so within the limits, and goes on being removed', async () => {
  const { clock, store, make } = setUp('queue');
  let out = false;
  const sync = make(async (request, pass) => {
    // From the note on nothing is answered.
    if (isWriteTo(NOTE)(request)) out = true;
    if (!out) return pass();
    const late = new Promise<never>((_, reject) => void clock.after(3_000, () => reject(unanswered())));
    return Promise.race([late, hang(request.signal)]);
  });
  await settle(clock, sync.connect());
  const run = watch(sync.runOnce('job', { atLeast: HOUR, timeout: 500 }, () => 1));
  await clock.advance(550);
  expect([run.done, run.code]).toEqual([true, 'timeout']);
  expect(store.records()).toHaveLength(1);
  out = false;
  await clock.advance(15_000);
  expect(store.records()).toEqual([]);
  await settle(clock, sync.stop());
});

test.each<[Partial<Record<keyof RunOnceOptions, unknown>>, RegExp]>([
  [{}, /option "atLeast" is missing/],
  [{ atLeast: 0 }, /option "atLeast" is 0; it must be a positive/],
  [{ atLeast: Number.NaN }, /option "atLeast" is NaN/],
  [{ atleast: 5 } as never, /option "atleast" is unknown: did you mean "atLeast"\?/],
  [{ atLeast: 5, timeout: -1 }, /option "timeout"/],
  [{ atLeast: 5, maxHold: 0 }, /option "maxHold"/],
  [{ atLeast: 5, metadata: undefined, signal: 7 }, /option "signal"/],
  [{ atLeast: 5, metadata: () => undefined }, /option "metadata"/],
])('E8: %o is refused by name, before any I/O', async (options, message) => {
  const store = new MemoryStore();
  await using sync = new SyncManager({ name: 'svc', backend: memory({ store }) });
  const run = sync.runOnce('job', options as RunOnceOptions, () => 1);
  await expect(run).rejects.toMatchObject({
    code: 'invalid-option',
    message: expect.stringMatching(message),
  });
  await expect(sync.runOnce('job', { atLeast: 5 }, undefined as never)).rejects.toThrow(/option "work"/);
  await expect(sync.runOnce('a//b', { atLeast: 5 }, () => 1)).rejects.toMatchObject({ code: 'invalid-key' });
  await expect(sync.runOnce('k'.repeat(1_020), { atLeast: 5 }, () => 1)).rejects.toMatchObject({
    code: 'invalid-key',
  });
  expect(store.sessions()).toEqual([]);
});
