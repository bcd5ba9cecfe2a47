import { expect, inject, test } from 'vitest';
import { lockSet } from '../soak/lock-set.ts';
import type { Variant } from '../soak/lock-set-protocol.ts';

/** `npm run test:soak -- lock-set` has the others on Postgres too, and restarts and a failover. */
const inTables: readonly Variant[] = ['tokens', 'transaction', 'unproved'];

test.concurrent.each([
  ['etcd', inject('etcdAddress'), {}],
  ['consul', inject('consulAddress'), {}],
  ['postgres', inject('postgresAddress'), { variants: inTables, kills: 1 }],
] as const)(
  'FAULTS 9: five processes on %s count under locks while they are stopped for up to 5 s: nothing is lost with tokens',
  async (store, address, more) => {
    // Where the machine is so busy that it takes longer, once for each way of writing is enough.
    const deadline = performance.now() + 12_000;
    const { done, figures } = await lockSet(store, address, { count: 2, deadline, ...more });
    expect(done).toBeGreaterThan(0);
    console.info(figures);
  },
  120_000,
);
