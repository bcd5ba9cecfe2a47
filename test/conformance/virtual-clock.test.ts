import { VirtualClock } from 'holdfast/testing';
import { expect, it } from 'vitest';

it('timers fire in the order of their instants, then of their making', async () => {
  const clock = new VirtualClock();
  const fired: string[] = [];
  const at = (ms: number, name: string) => clock.after(ms, () => fired.push(`${name} at ${clock.now()}`));
  at(20, 'c');
  at(10, 'a');
  at(10, 'b');
  at(-5, 'now');
  at(30, 'later');
  at(15, 'cancelled').cancel();
  await clock.advance(25);
  expect(fired).toEqual(['now at 0', 'a at 10', 'b at 10', 'c at 20']);
  expect(clock.now()).toBe(25);
  expect(clock.pending).toBe(1);
});

it('promises settle between two timers, however long their chain', async () => {
  const clock = new VirtualClock();
  const order: string[] = [];
  clock.after(1, async () => {
    for (let i = 0; i < 1000; i++) await Promise.resolve();
    order.push('chain');
    clock.after(0.5, () => order.push('made on the way'));
  });
  clock.after(2, () => order.push('second'));
  await clock.advance(2);
  expect(order).toEqual(['chain', 'made on the way', 'second']);
});

it('runUntil stops at the instant the condition holds, or says that it never did', async () => {
  const clock = new VirtualClock();
  let ticks = 0;
  const tick = () => {
    ticks++;
    clock.after(100, tick);
  };
  tick();
  await clock.runUntil(() => ticks === 4);
  expect(clock.now()).toBe(300);
  await expect(clock.runUntil(() => false, 1000)).rejects.toThrow('1000 ms of virtual time');
  expect(ticks).toBe(14);
});

it('a stall fires nothing until time is let pass again', async () => {
  const clock = new VirtualClock();
  let firedAt: number | undefined;
  clock.after(10, () => {
    firedAt = clock.now();
  });
  clock.stall(50);
  expect(firedAt).toBeUndefined();
  await clock.advance(0);
  expect(firedAt).toBe(50);
});

it('the wall clock goes along, and can be set alone', async () => {
  const clock = new VirtualClock({ wall: 1000 });
  await clock.advance(5);
  expect(clock.wall()).toBe(1005);
  clock.jumpWall(-3000);
  expect([clock.now(), clock.wall()]).toEqual([5, -1995]);
});

it('random numbers follow from the seed', () => {
  const numbers = (seed: number) => {
    const clock = new VirtualClock({ seed });
    return Array.from({ length: 1000 }, () => clock.random());
  };
  expect(numbers(7)).toEqual(numbers(7));
  expect(numbers(7)).not.toEqual(numbers(8));
  expect(numbers(7).every((n) => n >= 0 && n < 1)).toBe(true);
  const mean = numbers(7).reduce((sum, n) => sum + n) / 1000;
  expect(mean).toBeGreaterThan(0.45);
  expect(mean).toBeLessThan(0.55);
});

it('two who advance it at once are told', async () => {
  const clock = new VirtualClock();
  const first = clock.advance(1);
  await expect(clock.advance(1)).rejects.toThrow('already');
  await first;
});
