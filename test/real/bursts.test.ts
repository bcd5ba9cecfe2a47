import { expect, test } from 'vitest';
import { burst } from '../soak/burst.ts';
import { idle } from '../soak/idle.ts';
import type { RowOptions, RowResult } from '../soak/row.ts';
import { onOwnStore, type StoreName } from '../soak/stores.ts';

type Run = (store: StoreName, address: string, options: RowOptions) => Promise<RowResult>;

const stores = ['etcd', 'consul', 'postgres'] as const;

/** What a run does not put up with, it throws. */
async function expectDone(issue: string, store: StoreName, count: number, run: Run): Promise<void> {
  const { done, figures } = await onOwnStore(store, (_, address) => run(store, address, { count }));
  console.info(`${issue}: ${figures}`);
  expect(done).toBe(count);
}

test.each(stores)(
  'A1: 20,000 acquires at once on %s, with default options, cost no lock, and no request is left without an answer',
  (store) => expectDone('A1', store, 20_000, (...world) => burst('plain', ...world)),
  300_000,
);

// These wait most of the time.
test.concurrent.each(stores)(
  'A1: a server (%s) that is silent for 3 s in the midst of a burst costs nothing that was held before',
  (store) => expectDone('A1', store, 4_000, (...world) => burst('outage', ...world)),
  300_000,
);

// `npm run test:soak -- idle` has 10,000 for a minute.
// On Postgres the looks are counted in `postgres-counts.test.ts`.
test.concurrent.each(['etcd', 'consul'] as const)(
  'A2: 2,000 locks held on %s and nobody doing anything cost at most 4 requests a second beyond renewals',
  (store) => expectDone('A2', store, 2_000, (...world) => idle(10_000, ...world)),
  300_000,
);
