import { VirtualClock } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { SharedTimer } from '../../src/async/shared-timer.ts';

const MS = 100;

function setUp() {
  const clock = new VirtualClock();
  const ran: string[] = [];
  const delay = new SharedTimer(clock, MS);
  const after = (name: string, then?: () => void) =>
    delay.after(() => {
      ran.push(`${name} at ${clock.now()}`);
      then?.();
    });
  return { clock, delay, ran, after };
}

test('each runs once, when its own time is over, and one timer serves them all', async () => {
  const { clock, ran, after } = setUp();
  after('a');
  await clock.advance(30);
  after('b');
  after('c');
  expect(clock.pending).toBe(1);
  await clock.advance(1_000);
  expect(ran).toEqual(['a at 100', 'b at 130', 'c at 130']);
  expect(clock.pending).toBe(0);
});

test('what is taken back does not run, whether before or by one that runs', async () => {
  const { clock, ran, after } = setUp();
  const a = after('a');
  after('b', () => c.cancel());
  const c = after('c');
  a.cancel();
  await clock.advance(1_000);
  expect(ran).toEqual(['b at 100']);
  expect(clock.pending).toBe(0);
});

test('what is asked for by one that runs does not hold up those that are due before', async () => {
  const { clock, ran, after } = setUp();
  after('a', () => after('d'));
  await clock.advance(10);
  after('b');
  await clock.advance(1_000);
  expect(ran).toEqual(['a at 100', 'b at 110', 'd at 200']);
});

test('a timer that fires early, and one that fires late', async () => {
  const clock = new VirtualClock();
  const timers: (() => void)[] = [];
  const ran: number[] = [];
  const early = { ...clock, now: () => clock.now(), wall: () => 0, random: () => 0 };
  const delay = new SharedTimer(
    {
      ...early,
      after: (ms, task) => {
        timers.push(task);
        return clock.after(ms, () => undefined);
      },
    },
    MS,
  );
  delay.after(() => ran.push(clock.now()));
  clock.stall(MS - 0.4);
  timers.shift()?.();
  expect(ran).toEqual([]);
  clock.stall(5_000);
  timers.shift()?.();
  expect(ran).toEqual([MS - 0.4 + 5_000]);
  expect(timers).toEqual([]);
});

test('once stopped, nothing runs and no timer is left', async () => {
  const { clock, delay, ran, after } = setUp();
  after('a');
  delay.stop();
  expect(clock.pending).toBe(0);
  await clock.advance(1_000);
  expect(ran).toEqual([]);
});
