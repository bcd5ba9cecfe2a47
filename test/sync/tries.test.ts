import { SyncError } from 'holdfast';
import type { VirtualClock } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';
import { tries } from '../scenarios/tries.ts';
import { type Fault, hang, isOwnedPut, settle, setUp, watch } from './faulty.ts';

const contentions = ['queue', 'race'] as const;
/** Of a backend, in milliseconds. */
const REQUEST_TIMEOUT = 3_000;

const outages = ['refusing', 'silent'] as const;

/** A store that can be had or not. */
function outage(how: (typeof outages)[number], clock: VirtualClock) {
  const line = { down: false };
  const no = (): Promise<never> => Promise.reject(new SyncError('unavailable', 'no server'));
  const later = (): Promise<void> => new Promise((resolve) => void clock.after(REQUEST_TIMEOUT, resolve));
  const fault: Fault = ({ signal }, pass) => {
    if (!line.down) return pass();
    return how === 'silent' ? Promise.race([hang(signal), later().then(no)]) : no();
  };
  return { line, fault };
}

const cases = Object.keys(tries).flatMap((way) =>
  contentions.flatMap((contention) => outages.map((how) => [way, contention, how] as const)),
);

/** Tries ten times a second, for so long. */
async function everyTenth(clock: VirtualClock, seconds: number, attempt: () => void): Promise<void> {
  for (let n = 0; n < seconds * 10; n++) {
    attempt();
    await clock.advance(100);
  }
}

describe.each(cases)('B1: %s (%s), the store %s', (way, contention, how) => {
  test('piles up nothing in an outage, and runs one job when it is over', async () => {
    const { clock, make, pause } = setUp(contention);
    const { line, fault } = outage(how, clock);
    const sync = make(fault);
    let [pending, most, done] = [0, 0, 0];
    let [running, atOnce] = [0, 0];
    const attempt = (): void => {
      pending += 1;
      most = Math.max(most, pending);
      let started = false;
      const over = (): void => {
        if (!started) pending -= 1;
        started = true;
      };
      const job = async (): Promise<void> => {
        over();
        running += 1;
        atOnce = Math.max(atOnce, running);
        done += 1;
        await pause(50);
        running -= 1;
      };
      tries[way]?.(sync, job).then(over, over);
    };
    await everyTenth(clock, 5, attempt);
    expect([done, most, atOnce]).toEqual([50, 1, 1]);
    line.down = true;
    most = 0;
    await everyTenth(clock, 600, attempt);
    expect(most).toBeLessThanOrEqual(2);
    expect(pending).toBe(0);
    expect(sync.health().waiting).toBe(0);
    const before = done;
    line.down = false;
    await everyTenth(clock, 20, attempt);
    expect(done).toBeGreaterThan(before + 100);
    expect([most, atOnce]).toEqual([expect.toSatisfy((n: number) => n <= 2), 1]);
    await settle(clock, sync.stop());
  });
});

describe.each(contentions)('%s', (contention) => {
  test.each(outages)(
    'B1: the first try of all waits for one attempt and no longer, the store %s',
    async (how) => {
      const { clock, make } = setUp(contention);
      const { line, fault } = outage(how, clock);
      line.down = true;
      const sync = make(fault);
      const calls = [watch(sync.leadershipLock().tryLock()), watch(sync.tryAcquire('k'))];
      expect(sync.health()).toMatchObject({ waiting: 2, standing: 1 });
      await clock.advance(10_000);
      expect(calls).toMatchObject([
        { done: true, value: undefined, code: undefined },
        { done: true, value: undefined, code: undefined },
      ]);
      // From then on it is known.
      const next = [watch(sync.leadershipLock().tryLock()), watch(sync.tryAcquire('k'))];
      await clock.advance(0);
      expect(next.map(({ done }) => done)).toEqual([true, true]);
      expect(sync.health()).toMatchObject({ waiting: 0, standing: 1 });
      // The claim stands.
      line.down = false;
      await clock.advance(5_000);
      expect(sync.leadershipLock().held).toBe(true);
      await settle(clock, sync.stop());
    },
  );

  test('B1: a try does not wait for a second attempt, nor a later try for a lock whose attempts fail', async () => {
    const { clock, make } = setUp(contention);
    let failing = true;
    let attempts = 0;
    const sync = make((request, pass) => {
      if (!isOwnedPut(request) || !failing) return pass();
      attempts += 1;
      return Promise.reject(new SyncError('unavailable', 'no leader'));
    });
    const lock = sync.lock('k');
    const first = watch(lock.tryLock());
    await clock.advance(1);
    expect([first.done, first.value, attempts]).toEqual([true, undefined, 1]);
    await clock.advance(1_000);
    expect(attempts).toBeGreaterThan(2);
    const second = watch(lock.tryLock());
    await clock.advance(0);
    expect([second.done, second.value]).toEqual([true, undefined]);
    failing = false;
    await clock.advance(2_000);
    expect(lock.held).toBe(true);
    await settle(clock, sync.stop());
  });

  test('B1: calls of one lock share one attempt', async () => {
    const { clock, make } = setUp(contention);
    let puts = 0;
    const sync = make((request, pass) => {
      puts += Number(isOwnedPut(request));
      return pass();
    });
    const calls = Array.from({ length: 20 }, () => watch(sync.lock('k').tryLock()));
    expect(sync.health().waiting).toBe(20);
    await clock.advance(10);
    expect(new Set(calls.map(({ value }) => value?.token)).size).toBe(1);
    expect([puts, sync.health().waiting]).toEqual([1, 0]);
    await settle(clock, sync.stop());
  });

  test('B2: what the server refuses reaches everybody who waits, in front and behind', async () => {
    const { clock, make } = setUp(contention);
    let refusing = true;
    const sync = make((request, pass) =>
      isOwnedPut(request) && refusing
        ? Promise.reject(new SyncError('permission-denied', 'no right to k', { outcome: 'refused' }))
        : pass(),
    );
    const standing = sync
      .lock('k')
      .lock()
      .catch(() => undefined);
    const behind = [watch(sync.acquire('k')), watch(sync.withLock('k', () => undefined))];
    await clock.advance(10);
    await standing;
    expect(behind.map(({ code }) => code)).toEqual(['permission-denied', 'permission-denied']);
    // Also whoever comes later, at once.
    const late = [watch(sync.acquire('k')), watch(sync.lock('k').lock())];
    await clock.advance(0);
    expect(late.map(({ code }) => code)).toEqual(['permission-denied', 'permission-denied']);
    refusing = false;
    await clock.advance(3_000);
    expect(sync.lock('k').held).toBe(true);
    await settle(clock, sync.stop());
  });

  test('B2: who only tries is told of a refusal as well, right after another was, and also of the session', async () => {
    const { clock, make } = setUp(contention);
    const refusal = new SyncError('permission-denied', 'no right', { outcome: 'refused' });
    const refused: Record<string, (verb: string) => boolean> = {
      put: (verb) => verb === 'commit',
      session: (verb) => verb === 'openSession',
    };
    for (const isRefused of Object.values(refused)) {
      const sync = make((request, pass) => (isRefused(request.verb) ? Promise.reject(refusal) : pass()));
      await expect(settle(clock, sync.acquire('k'))).rejects.toBe(refusal);
      await expect(settle(clock, sync.tryAcquire('k'))).rejects.toBe(refusal);
      await expect(settle(clock, sync.lock('l').tryLock())).rejects.toBe(refusal);
      await settle(clock, sync.stop());
    }
  });

  test('B2: every timeout tells the last trouble, also of who waits behind another', async () => {
    const { clock, make } = setUp(contention);
    const { line, fault } = outage('refusing', clock);
    line.down = true;
    const sync = make(fault);
    const timeout = 2_000;
    const messages = [
      sync.acquire('k', { timeout }),
      sync.acquire('k', { timeout }),
      sync.lock('k').lock({ timeout }),
      sync.lock('other').lock({ timeout }),
      sync.lock('other').lock({ timeout }),
    ].map((call) => call.then(String, String));
    await clock.advance(3_000);
    for (const message of await Promise.all(messages)) expect(message).toContain('last trouble: no server');
    await settle(clock, sync.stop());
  });
});
