import { beforeAll, expect, test } from 'vitest';
import { buildLibrary, manyLocks } from '../soak/many-locks.ts';
import { onOwnStore, type StoreName } from '../soak/stores.ts';

let built: string;
beforeAll(async () => {
  built = await buildLibrary();
});

const some: [StoreName, 'scoped' | 'standing', number][] = [
  // `npm run test:soak -- many-locks` has 10,000 of each.
  ['memory', 'standing', 2_000],
  ['etcd', 'scoped', 2_000],
  ['consul', 'scoped', 1_000],
  ['postgres', 'standing', 2_000],
];

// Each waits for the end of its session most of the time, and measures nothing but its own process.
test.concurrent.each(some)(
  'FAULTS 30: many locks on one session on %s (%s): one renewal a period, all lost by the deadline',
  async (store, kind, count) => {
    const { done, figures } = await onOwnStore(store, (_, address) =>
      manyLocks(built, store, address, kind, { count }),
    );
    console.info(`FAULTS 30: ${figures}`);
    expect(done).toBe(count);
  },
  240_000,
);
