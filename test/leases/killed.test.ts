import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { addressOf } from '../real/site.ts';
import type { Store } from '../real/stores.ts';
import { uniqueKey, until } from '../scenarios/world.ts';
import { Workforce } from './workforce.ts';

const TTL = 2_000;
const PROCESSES = 4;
const ITEMS = 100;

// On Consul it takes several times as long: `npm run test:soak -- leases-killed-consul`.
const rows: [store: Store, lockDelay: number, bound: number][] = [
  ['etcd', 0, TTL + 500],
  ['Postgres', 0, TTL + 500],
];

test.each(rows)(
  'LF1, LF2: half of 20 workers on %s are killed at random, others frozen: no item twice, none lost, all in work again in time',
  async (store, lockDelay, bound) => {
    const pool = uniqueKey('workforce');
    const options = { store, address: addressOf(store), pool, ttl: TTL, lockDelay, items: ITEMS, workers: 5 };
    await using force = new Workforce(options);
    await force.fill();
    await Promise.all(Array.from({ length: PROCESSES }, () => force.hire()));
    await until(() => force.inWork === ITEMS);
    for (let round = 0; round < 2; round++) {
      await sleep(Math.random() * 500);
      force.end('SIGKILL');
      await Promise.all([force.freeze(TTL + 500), force.hire()]);
    }
    await until(() => force.inWork === ITEMS, 30_000);
    force.end('SIGTERM');
    await until(() => force.inWork === ITEMS, 30_000);
    await force.check();
    const killed = force.gaps.filter(({ how }) => how === 'SIGKILL').map(({ ms }) => ms);
    const ended = force.gaps.filter(({ how }) => how === 'SIGTERM').map(({ ms }) => ms);
    console.info(
      `LF1 ${store}: ${killed.length} items in work again ${Math.round(Math.max(...killed))} ms after SIGKILL at the latest, of ${bound}; ` +
        `after SIGTERM ${Math.round(median(ended))} ms (median), ${Math.round(Math.max(...ended))} ms at most; ${force.confirmed} checkpoints`,
    );
    expect(killed.length).toBeGreaterThan(20);
    expect(Math.max(...killed)).toBeLessThan(slowed(bound));
  },
);

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
