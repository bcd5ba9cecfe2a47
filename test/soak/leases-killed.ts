import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Workforce } from '../leases/workforce.ts';
import { uniqueKey, until } from '../scenarios/world.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';

const TTL = 2_000;
const ITEMS = 100;
const PROCESSES = 4;
const names = { etcd: 'etcd', consul: 'Consul', postgres: 'Postgres' } as const;

/** LF1 for long: processes are killed and ended in turn, and the time is taken until their items are in work again. */
export async function leasesKilled(
  store: keyof typeof names,
  address: string,
  options: RowOptions,
): Promise<RowResult> {
  const lockDelay = store === 'consul' ? 500 : 0;
  const pool = uniqueKey('workforce');
  const shape = { store: names[store], address, pool, ttl: TTL, lockDelay, items: ITEMS, workers: 5 };
  await using force = new Workforce(shape);
  await force.fill();
  await Promise.all(Array.from({ length: PROCESSES }, () => force.hire()));
  let done = 0;
  for (; done < options.count && !isOver(options); done++) {
    await until(() => force.inWork === ITEMS, 60_000);
    // Between two renewals, at any moment.
    await sleep(1_000 + Math.random() * TTL);
    if (done % 2 === 0) {
      force.end('SIGKILL');
      await until(() => force.inWork === ITEMS, 60_000);
    } else {
      force.end('SIGTERM');
      await until(() => force.inWork === ITEMS, 60_000);
      await force.freeze(TTL + 1_000);
    }
    await force.hire();
    options.onProgress?.(done + 1);
  }
  await until(() => force.inWork === ITEMS, 60_000);
  await force.check();
  const killed = gaps(force, 'SIGKILL');
  const ended = gaps(force, 'SIGTERM');
  assert(killed.length > 0 && ended.length > 0);
  const figures =
    `${ITEMS} items on ${names[store]}: in work again after SIGKILL ${of(killed, 0.5)} ms (p50), ${of(killed, 0.99)} (p99), ` +
    `${of(killed, 1)} at most; after SIGTERM ${of(ended, 0.5)}, ${of(ended, 0.99)}, ${of(ended, 1)}; ` +
    `${force.confirmed} checkpoints, none twice, none lost`;
  return { done, figures };
}

function gaps(force: Workforce, how: NodeJS.Signals): number[] {
  return force.gaps.filter((gap) => gap.how === how).map(({ ms }) => ms);
}

function of(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(0);
}
