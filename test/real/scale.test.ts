import { expect, inject, test } from 'vitest';
import { aborts } from '../soak/aborts.ts';
import { cycles } from '../soak/cycles.ts';
import { lostReleases } from '../soak/lost-releases.ts';
import { consulWorld, etcdWorld, memoryWorld, postgresWorld } from '../soak/stores.ts';
import { waiters } from '../soak/waiters.ts';

// More of each by `npm run test:soak`.

const servers = ['etcd', 'consul', 'postgres'] as const;
const addresses = {
  etcd: inject('etcdAddress'),
  consul: inject('consulAddress'),
  postgres: inject('postgresAddress'),
};
const shared = {
  etcd: etcdWorld(addresses.etcd),
  consul: consulWorld(addresses.consul),
  postgres: postgresWorld(addresses.postgres),
};

// One after the other, as descriptors and heap of this process are compared.
test('FAULTS 35: 20,000 acquire/lose cycles on memory: heap, descriptors and listeners level', async () => {
  const { done, figures } = await cycles(memoryWorld(), { count: 20_000, batch: 1_000 });
  console.info(`FAULTS 35: ${figures}`);
  expect(done).toBeGreaterThanOrEqual(20_000);
}, 120_000);

test.each(servers)(
  'FAULTS 35: 300 acquire/lose cycles on %s: heap, descriptors and listeners level',
  async (store) => {
    const { done, figures } = await cycles(shared[store], { count: 300, batch: 25 });
    console.info(`FAULTS 35: ${figures}`);
    expect(done).toBeGreaterThanOrEqual(300);
  },
);

test.each(servers)(
  'FAULTS 24: release applied and reply lost on %s: repeated only while the record is ours',
  async (store) => {
    const { done, figures } = await lostReleases(shared[store], { count: 400 });
    console.info(`FAULTS 24: ${figures}`);
    expect(done).toBe(400);
  },
);

test.each(servers)('FAULTS 27: abort at every request of an acquire on %s', async (store) => {
  const { done, figures } = await aborts(shared[store], { count: 1 });
  console.info(`FAULTS 27: ${figures}`);
  expect(done).toBeGreaterThan(20);
});

test.each(servers)(
  'FAULTS 31: 1,000 waiters for one key in one process, and 200 in ten, on %s',
  async (store) => {
    for (const [count, managers] of [
      [1_000, 1],
      [200, 10],
    ] as const) {
      const { done, figures } = await waiters(store, addresses[store], { count, managers });
      console.info(`FAULTS 31: ${figures}`);
      expect(done).toBe(count);
    }
  },
);
