import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { Managers, stateOf, uniqueKey } from '../scenarios/world.ts';
import { holdInChild } from './crash.ts';
import { addressOf } from './site.ts';
import { connectTo, type Store } from './stores.ts';

const TTL = 2_000;
const ROUNDS = 3;

const rows: [store: Store, lockDelay: number, bound: number][] = [
  ['etcd', 0, TTL + 500],
  ['Postgres', 0, TTL + 500],
  ['Consul', 1_000, 2 * TTL + 1_000 + 1_000],
];

test.concurrent.each(rows)(
  'FAULTS 29: a process on %s is killed while it holds: the next one holds in time',
  async (store, lockDelay, bound) => {
    const address = addressOf(store);
    const session = { ttl: TTL, lockDelay };
    await using managers = new Managers({
      name: store,
      ...session,
      backend: () => connectTo(store, address),
    });
    const rounds = Array.from({ length: ROUNDS }, async (_, round) => {
      const key = uniqueKey('crash');
      using doomed = await holdInChild(store, address, key, session);
      const next = managers.make().lock(key);
      expect(await next.tryLock()).toBeUndefined();
      // At different moments between two renewals.
      await sleep((round * TTL) / 3 / ROUNDS);
      const crashed = doomed.crash();
      await stateOf(next, 'held');
      const took = performance.now() - crashed;
      expect(next.grant?.token).toBeGreaterThan(doomed.token);
      return took;
    });
    const longest = Math.max(...(await Promise.all(rounds)));
    expect(longest).toBeLessThan(slowed(bound));
    console.info(
      `FAULTS 29 ${store}: the next holder ${Math.round(longest)} ms after the crash, of ${bound}`,
    );
  },
);
