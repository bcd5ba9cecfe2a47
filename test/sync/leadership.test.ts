import { type Grant, type SyncEvent, SyncManager, type Term } from 'holdfast';
import { memory } from 'holdfast/memory';
import { describe, expect, test, vi } from 'vitest';
import { settle, setUp } from './faulty.ts';

/** A leader on a virtual clock, whose work ends so many milliseconds after its signal. */
function leading(endsAfter: number) {
  const { clock, store, make, pause } = setUp('queue');
  const sync = make();
  const { leadership } = sync;
  const settled = <T>(call: Promise<T>): Promise<T> => settle(clock, call);
  let inside = 0;
  const terms: bigint[] = [];
  const work = async ({ signal, token }: Term): Promise<void> => {
    inside++;
    terms.push(token);
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await pause(endsAfter);
    inside--;
  };
  return { clock, store, make, sync, leadership, settle: settled, work, terms, inside: () => inside };
}

/** Whether there was work under way when leadership was given up. */
function givenUpAmong(sync: SyncManager, inside: () => number): number[] {
  const among: number[] = [];
  sync.events$.subscribe((event) => {
    if (event.type === 'lock-released') among.push(inside());
  });
  return among;
}

describe('giving leadership up', () => {
  test('waits for work that was added meanwhile as well, which does not begin', async () => {
    const { clock, sync, leadership, settle, work, terms, inside } = leading(1_000);
    leadership.whileLeader(work);
    await clock.runUntil(() => inside() === 1);
    const among = givenUpAmong(sync, inside);
    const stepping = leadership.stepDown({ pause: 60_000 });
    await clock.advance(500);
    leadership.whileLeader(work);
    await clock.advance(100);
    expect([inside(), leadership.isLeader]).toEqual([1, true]);
    await settle(stepping);
    expect(among).toEqual([0]);
    // Who adds work stands for leadership: the pause is over, and both begin.
    await clock.runUntil(() => inside() === 2);
    expect(terms).toHaveLength(3);
    await settle(sync.stop());
    expect(clock.pending).toBe(0);
  });

  test('several calls at a time: nobody stands before all have ended', async () => {
    const { clock, sync, leadership, settle, work, inside } = leading(1_000);
    leadership.whileLeader(work);
    await clock.runUntil(() => inside() === 1);
    const hasty = leadership.stepDown({ grace: 100, pause: 1 });
    const patient = leadership.stepDown({ grace: 5_000, pause: 1 });
    await settle(hasty);
    expect([leadership.isLeader, inside()]).toEqual([false, 1]);
    await clock.advance(500);
    expect(leadership.lock.claimed).toBe(false);
    await settle(patient);
    expect(inside()).toBe(0);
    await clock.runUntil(() => inside() === 1);
    await settle(sync.stop());
  });

  test('of the pauses of several calls the longest counts', async () => {
    const { clock, sync, leadership, settle, work, inside } = leading(0);
    leadership.whileLeader(work);
    await clock.runUntil(() => inside() === 1);
    await settle(Promise.all([leadership.stepDown({ pause: 10_000 }), leadership.stepDown({ pause: 1 })]));
    await clock.advance(9_900);
    expect(leadership.lock.claimed).toBe(false);
    await clock.advance(200);
    expect([leadership.isLeader, inside()]).toEqual([true, 1]);
    await settle(sync.stop());
  });

  test('who asks to stand while it is given up stands afterwards, even if it did not before', async () => {
    const { clock, sync, leadership, settle } = leading(0);
    const stepping = leadership.stepDown({ pause: 60_000 });
    leadership.stand();
    await settle(stepping);
    await clock.advance(100);
    expect(leadership.isLeader).toBe(true);
    await settle(sync.stop());
  });

  test('while it is given up nobody is told to lead; whoever asks for the lock in the pause is', async () => {
    const { clock, sync, leadership, settle, work, inside } = leading(1_000);
    leadership.whileLeader(work);
    await clock.runUntil(() => inside() === 1);
    expect(await settle(leadership.ask())).toBeDefined();
    const stepping = leadership.stepDown({ pause: 60_000 });
    expect(await leadership.ask()).toBeUndefined();
    await settle(stepping);
    expect(await leadership.ask()).toBeUndefined();
    await settle(leadership.lock.lock());
    expect(await settle(leadership.ask())).toBeDefined();
    await settle(sync.stop());
  });

  test('stop() at the same time leaves no timer of the pause', async () => {
    const { clock, sync, leadership, settle, work, inside } = leading(100);
    leadership.whileLeader(work);
    await clock.runUntil(() => inside() === 1);
    await settle(Promise.all([leadership.stepDown({ pause: 60_000 }), sync.stop()]));
    expect(clock.pending).toBe(0);
  });

  test('stop() lets the work of a leader write what it has to, but holds nothing else back', async () => {
    const { clock, make, sync, leadership, settle } = leading(0);
    let grant: Grant | undefined;
    const written: unknown[] = [];
    leadership.whileLeader(async (term) => {
      grant = term.grant;
      await new Promise((resolve) => term.signal.addEventListener('abort', resolve, { once: true }));
      await new Promise<void>((resolve) => void clock.after(500, resolve));
      written.push(
        await sync.commit({ when: [term.grant.isOwner], then: [{ put: 'last', value: 'words' }] }),
      );
    });
    await settle(sync.acquire('other'));
    await clock.runUntil(() => grant !== undefined);
    const rival = make();
    const taken = rival.acquire('other');
    const stopping = sync.stop();
    await clock.advance(200);
    expect(rival.health().held).toBe(1);
    await settle(stopping);
    expect(written).toMatchObject([{ ok: true }]);
    await expect(sync.commit({ then: [{ put: 'late', value: '' }] })).rejects.toMatchObject({
      code: 'stopped',
    });
    await taken;
    await settle(rival.stop());
  });
});

test('a term is not missed because its session was in doubt when it could have begun', async () => {
  const { clock, store } = setUp('queue');
  let ahead = 0;
  const sleepy = {
    now: () => clock.now(),
    wall: () => clock.wall() + ahead,
    after: (ms: number, task: () => void) => clock.after(ms, task),
    random: () => clock.random(),
  };
  const session = { ttl: 10_000, lockDelay: 0 };
  const sync = new SyncManager({ name: 'svc', backend: memory({ store }), clock: sleepy, session });
  const { leadership } = sync;
  leadership.stand();
  await clock.runUntil(() => leadership.isLeader);
  // The machine seems to have slept.
  ahead = 5_000;
  expect(leadership.isLeader).toBe(false);
  let terms = 0;
  leadership.whileLeader(() => void terms++);
  expect(terms).toBe(0);
  await clock.runUntil(() => leadership.isLeader);
  await clock.advance(10);
  expect(terms).toBe(1);
  const stopped = sync.stop();
  await clock.advance(10_000);
  await stopped;
});

test.each([
  ['metadata that cannot be written', 'invalid-option'],
  ['metadata that is too large', 'value-too-large'],
])(
  'B4: who cannot stand for leadership because of %s is told so, and stands once it can',
  async (_, code) => {
    let ready = false;
    const metadata = () => {
      if (ready) return 'ready';
      if (code === 'invalid-option') throw new Error('not ready');
      return 'x'.repeat(10_000_000);
    };
    await using sync = new SyncManager({ name: 'svc', backend: memory(), metadata });
    const events: SyncEvent[] = [];
    sync.events$.subscribe((event) => events.push(event));
    sync.leadership.stand();
    await expect(sync.leadership.ask()).rejects.toMatchObject({ code });
    await vi.waitFor(() =>
      expect(events).toContainEqual({
        type: 'trouble',
        error: expect.objectContaining({ code }),
        key: 'service/svc/leadership',
      }),
    );
    ready = true;
    await vi.waitFor(() => expect(sync.leadership.isLeader).toBe(true), { timeout: 10_000 });
  },
);

test('B4: metadata that can never be written is told, and nothing is asked of the store', async () => {
  await using sync = new SyncManager({ name: 'svc', backend: memory(), metadata: 'x'.repeat(10_000_000) });
  const events: SyncEvent[] = [];
  sync.events$.subscribe((event) => events.push(event));
  sync.leadership.stand();
  await vi.waitFor(() =>
    expect(events).toMatchObject([{ type: 'trouble', error: { code: 'value-too-large' } }]),
  );
  expect([sync.leadership.lock.claimed, sync.health().session]).toEqual([false, 'idle']);
});

test('work that ends as its grant told it to has not failed', async () => {
  const { clock, sync, leadership, settle } = leading(0);
  const events: SyncEvent[] = [];
  sync.events$.subscribe((event) => events.push(event));
  let [terms, ends] = [0, 0];
  leadership.whileLeader(async ({ signal, grant }) => {
    terms++;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    ends++;
    if (ends === 1) throw signal.reason;
    await leadership.lock.release();
    grant.assertHeld();
  });
  await clock.runUntil(() => terms === 1);
  await settle(leadership.stepDown({ pause: 1 }));
  await clock.runUntil(() => terms === 2);
  await settle(sync.stop());
  expect(ends).toBe(2);
  expect(events.filter(({ type }) => type === 'listener-failed')).toEqual([]);
});
