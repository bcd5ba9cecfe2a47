import { expect, inject, test } from 'vitest';
import { lockSet } from '../soak/lock-set.ts';

test.concurrent.each([
  ['etcd', inject('etcdAddress')],
  ['consul', inject('consulAddress')],
] as const)(
  'FAULTS 9: five processes on %s count under locks while they are stopped for up to 5 s: nothing is lost with tokens',
  async (store, address) => {
    // Where the machine is so busy that it takes longer, once for each way of writing is enough.
    const deadline = performance.now() + 12_000;
    const { done, figures } = await lockSet(store, address, { count: 2, deadline });
    expect(done).toBeGreaterThan(0);
    console.info(figures);
  },
  120_000,
);
