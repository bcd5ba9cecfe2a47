import { aborts } from './aborts.ts';
import { type BurstKind, burst } from './burst.ts';
import { cycles } from './cycles.ts';
import { failovers } from './failovers.ts';
import { idle } from './idle.ts';
import { keys } from './keys.ts';
import { leasesKilled } from './leases-killed.ts';
import { lockSet } from './lock-set.ts';
import { lockSetWithFailover, lockSetWithRestarts } from './lock-set-postgres.ts';
import { lostReleases } from './lost-releases.ts';
import { buildLibrary, manyLocks } from './many-locks.ts';
import { onPostgres, postgresVersions } from './postgres-versions.ts';
import type { RowOptions, RowResult } from './row.ts';
import { schedules, schedulesOn } from './schedules.ts';
import { stopHolding } from './stop.ts';
import { memoryWorld, onOwnStore, type StoreName } from './stores.ts';
import { waiters } from './waiters.ts';

export interface Row {
  readonly name: string;
  /** Unless told otherwise. */
  readonly count: number;
  readonly what: string;
  run(options: RowOptions & { readonly from: number }): Promise<RowResult>;
}

const allStores: readonly StoreName[] = ['memory', 'etcd', 'consul', 'postgres'];
const servers = ['etcd', 'consul', 'postgres'] as const;
const perStore = <Name extends StoreName>(names: readonly Name[], row: (store: Name) => Row): Row[] =>
  names.map(row);

/** Everything that is repeated for longer than `npm test` has time for. */
export const rows: readonly Row[] = [
  ...perStore(allStores, (store) => ({
    name: `cycles-${store}`,
    count: store === 'memory' ? 1_000_000 : 20_000,
    what: 'acquires that are released or lost: heap, descriptors and listeners stay level',
    run: (options) =>
      onOwnStore(store, (world) => cycles(world, { ...options, batch: store === 'memory' ? 1_000 : 50 })),
  })),
  ...(['standing', 'scoped'] as const).map((use) => ({
    name: `keys-${use}-memory`,
    count: 1_000_000,
    what: 'distinct keys that are locked and released: the heap stays level',
    run: (options: RowOptions) => keys(use, options),
  })),
  {
    name: 'schedules-memory',
    count: 100_000,
    what: 'random schedules of releases during an acquire, double, and after a loss',
    run: schedules,
  },
  ...perStore(servers, (store) => ({
    name: `schedules-${store}`,
    count: 2_000,
    what: 'the same on a real server',
    run: (options) => onOwnStore(store, (world) => schedulesOn(world, options)),
  })),
  ...perStore(allStores, (store) => ({
    name: `aborts-${store}`,
    count: 20,
    what: 'rounds of aborts at every instant of an acquire',
    run: (options) => onOwnStore(store, (world) => aborts(world, options)),
  })),
  ...(['queue', 'race'] as const).map((contention) => ({
    name: `lost-releases-memory-${contention}`,
    count: 50_000,
    what: 'releases whose reply is lost: none takes the lock of somebody else',
    run: (options: RowOptions) => lostReleases(memoryWorld(contention), options),
  })),
  ...perStore(servers, (store) => ({
    name: `lost-releases-${store}`,
    count: 10_000,
    what: 'the same on a real server',
    run: (options) => onOwnStore(store, (world) => lostReleases(world, options)),
  })),
  ...perStore(servers, (store) => ({
    name: `stop-${store}`,
    count: 5_000,
    what: 'locks held by a process that stops',
    run: (options) => onOwnStore(store, (_, address) => stopHolding(store, address, options)),
  })),
  ...perStore(allStores, (store) => ({
    name: `many-locks-${store}`,
    count: 10_000,
    what: 'locks held on one session by a process that is cut off',
    run: async (options) => {
      const built = await buildLibrary();
      return onOwnStore(store, (_, address) => manyLocks(built, store, address, 'scoped', options));
    },
  })),
  ...(['paired', 'outage'] as const).flatMap((kind: BurstKind) =>
    perStore(servers, (store) => ({
      name: `burst-${kind}-${store}`,
      count: 20_000,
      what:
        kind === 'paired'
          ? 'acquires at once, and 500 at a time'
          : 'the same with a server that is silent for 3 s',
      run: (options) => onOwnStore(store, (_, address) => burst(kind, store, address, options)),
    })),
  ),
  ...perStore(servers, (store) => ({
    name: `idle-${store}`,
    count: 10_000,
    what: 'locks held by a process that does nothing for a minute',
    run: (options) => onOwnStore(store, (_, address) => idle(60_000, store, address, options)),
  })),
  ...perStore(servers, (store) => ({
    name: `waiters-${store}`,
    count: 1_000,
    what: 'callers of one key in one process',
    run: (options) => onOwnStore(store, (_, address) => waiters(store, address, { ...options, managers: 1 })),
  })),
  ...perStore(servers, (store) => ({
    name: `waiters-of-ten-${store}`,
    count: 1_000,
    what: 'callers of one key in ten services',
    run: (options) =>
      onOwnStore(store, (_, address) => waiters(store, address, { ...options, managers: 10 })),
  })),
  ...perStore(['etcd', 'consul'], (store) => ({
    name: `lock-set-${store}`,
    count: 20,
    what: 'times that a client is stopped between its read and its write, for each kind of store',
    run: (options) => onOwnStore(store, (_, address) => lockSet(store, address, options)),
  })),
  {
    name: 'lock-set-postgres',
    count: 20,
    what: 'times of that; 20 clients are killed too, and the server four times',
    run: lockSetWithRestarts,
  },
  {
    name: 'lock-set-failover-postgres',
    count: 5,
    what: 'times of that, while a synchronous replica takes the place of its killed primary',
    run: lockSetWithFailover,
  },
  ...([13, 14, 15, 16, 17, 18] as const).map((version) => ({
    name: `postgres-versions-${version}`,
    count: 1,
    what: `times the tests of the Postgres backend, on PostgreSQL ${postgresVersions[version]}`,
    run: (options: RowOptions) => onPostgres(version, options),
  })),
  ...perStore(servers, (store) => ({
    name: `leases-idle-${store}`,
    count: 10_000,
    what: 'items of a pool that one worker holds and does nothing for 60 s',
    run: (options) => onOwnStore(store, (_, address) => idle(60_000, store, address, options, 'leases')),
  })),
  ...perStore(servers, (store) => ({
    name: `leases-killed-${store}`,
    count: 20,
    what: 'times that a process with 5 of 20 workers is killed, or ended, while others are frozen, with 100 items',
    run: (options) => onOwnStore(store, (_, address) => leasesKilled(store, address, options)),
  })),
  { name: 'failovers', count: 20, what: 'leaders of three etcd members killed', run: failovers },
];
