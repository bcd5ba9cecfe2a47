import { expect, test } from 'vitest';
import { burst } from '../soak/burst.ts';
import { idle } from '../soak/idle.ts';
import { onOwnStore } from '../soak/stores.ts';

const stores = ['etcd', 'consul'] as const;

test.each(stores)(
  'A1: 20,000 acquires at once on %s, with default options, cost no lock, and no request is left without an answer',
  async (store) => {
    const { done, figures } = await onOwnStore(store, (_, address) =>
      burst(store, address, 'plain', { count: 20_000 }),
    );
    console.info(`A1: ${figures}`);
    expect(done).toBe(20_000);
  },
  300_000,
);

test.each(stores)(
  'A1: a server (%s) that is silent for 3 s in the midst of a burst costs nothing that was held before',
  async (store) => {
    const { done, figures } = await onOwnStore(store, (_, address) =>
      burst(store, address, 'outage', { count: 4_000 }),
    );
    console.info(`A1: ${figures}`);
    expect(done).toBe(4_000);
  },
  300_000,
);

// `npm run test:soak -- idle` has 10,000 for a minute.
test.concurrent.each(stores)(
  'A2: 2,000 locks held on %s and nobody doing anything cost at most 4 requests a second beyond renewals',
  async (store) => {
    const { done, figures } = await onOwnStore(store, (_, address) =>
      idle(store, address, 20_000, { count: 2_000 }),
    );
    console.info(`A2: ${figures}`);
    expect(done).toBe(2_000);
  },
  300_000,
);
