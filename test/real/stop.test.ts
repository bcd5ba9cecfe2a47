import { expect, test } from 'vitest';
import { stopHolding } from '../soak/stop.ts';
import { onOwnStore } from '../soak/stores.ts';

/** A fifth of what `npm run test:soak -- stop` holds. */
const COUNT = 1_000;

test.each(['etcd', 'consul', 'postgres'] as const)(
  `FAULTS 28: stop() with ${COUNT} locks held on %s: within 5 s, keys before session, and the process exits by itself`,
  async (store) => {
    const { done, figures } = await onOwnStore(store, (_, address) =>
      stopHolding(store, address, { count: COUNT }),
    );
    console.info(`FAULTS 28: ${figures}`);
    expect(done).toBe(COUNT);
  },
  120_000,
);
