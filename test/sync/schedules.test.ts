import { expect, inject, test } from 'vitest';
import { aborts } from '../soak/aborts.ts';
import { lostReleases } from '../soak/lost-releases.ts';
import { playSeed, schedules, schedulesOn } from '../soak/schedules.ts';
import { etcdWorld, memoryWorld, onOwnStore } from '../soak/stores.ts';

// More of each by `npm run test:soak`.

test('FAULTS 26: release during acquire, double release, release after loss: 10,000 random schedules', async () => {
  const { done, figures } = await schedules({ count: 10_000 });
  console.info(`FAULTS 26 memory: ${figures}`);
  expect(done).toBe(10_000);
  // Schedules in which nothing of the kind happens would show nothing.
  for (const fate of ['lost grant.release: done', 'lock again.release: done', 'lock: released']) {
    expect(figures).toContain(fate);
  }
}, 180_000);

test('FAULTS 26: the same seed is the same schedule', async () => {
  expect(await playSeed(12)).toEqual(await playSeed(12));
  expect(await playSeed(12)).not.toEqual(await playSeed(13));
});

test('FAULTS 26: 200 random schedules on etcd', async () => {
  const { done, figures } = await schedulesOn(etcdWorld(inject('etcdAddress')), { count: 200 });
  console.info(`FAULTS 26 etcd: ${figures}`);
  expect(done).toBe(200);
}, 120_000);

test('FAULTS 26: 200 random schedules on Consul', async () => {
  const { done, figures } = await onOwnStore('consul', (world) => schedulesOn(world, { count: 200 }));
  console.info(`FAULTS 26 Consul: ${figures}`);
  expect(done).toBe(200);
}, 120_000);

// Fewer: each has clients that connect anew, and until they listen they look every 250 ms. `npm run test:soak -- schedules` runs more.
test('FAULTS 26: 60 random schedules on Postgres', async () => {
  const { done, figures } = await onOwnStore('postgres', (world) => schedulesOn(world, { count: 60 }));
  console.info(`FAULTS 26 Postgres: ${figures}`);
  expect(done).toBe(60);
}, 120_000);

test.each(['queue', 'race'] as const)(
  'FAULTS 24: release applied and reply lost, 5,000 times in a %s: repeated only while the record is ours',
  async (contention) => {
    const { done, figures } = await lostReleases(memoryWorld(contention), { count: 5_000 });
    console.info(`FAULTS 24: ${figures}`);
    expect(done).toBe(5_000);
  },
  120_000,
);

test('FAULTS 27: abort at every await of an acquire on memory', async () => {
  const { done, figures } = await aborts(memoryWorld(), { count: 2 });
  console.info(`FAULTS 27: ${figures}`);
  expect(done).toBeGreaterThan(200);
  console.info(`FAULTS 27: ${(await aborts(memoryWorld('race'), { count: 2 })).figures}`);
});
