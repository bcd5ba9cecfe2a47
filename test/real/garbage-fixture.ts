// Run as a process with a small heap: holds a lock and makes garbage, and tells how late its renewals were.

import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { SyncManager } from 'holdfast';
import { busy } from '../busy.ts';
import { connectTo, type Store } from './stores.ts';

export interface GarbageReport {
  /** The most by which a renewal came later than its interval after the one before it, in milliseconds. */
  readonly late: number;
  /** What of that the machine may have added, in milliseconds: collectors are not the only ones who keep it busy. */
  readonly starved: number;
  readonly lost: number;
  /** Whether the first grant was held to the end. */
  readonly kept: boolean;
  /** Collections of the whole heap. */
  readonly major: number;
  /** The part of the time for which collections stopped the process. */
  readonly paused: number;
}

const RENEWALS = 6;
/** Bytes of live small objects in all: most of the heap, so that every collection has much to look at. */
const LIVE = 200_000;

interface Settings {
  readonly store: Store;
  readonly address: string;
  readonly key: string;
  readonly ttl: number;
}
const { store, address, key, ttl } = JSON.parse(process.argv[2] ?? '') as Settings;

const renewInterval = ttl / 3;
const backend = connectTo(store, address);
const renew = backend.renewSession.bind(backend);
const renewals: number[] = [];
backend.renewSession = (id, signal) => {
  renewals.push(performance.now());
  return renew(id, signal);
};
const sync = new SyncManager({ name: 'garbage', backend, session: { ttl, renewInterval } });
let lost = 0;
const lock = sync.lock(key);
lock.lost$.subscribe(() => lost++);
const grant = await lock.lock();

let major = 0;
let pauses = 0;
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    pauses += entry.duration;
    const { detail } = entry as PerformanceEntry & { readonly detail?: { readonly kind: number } };
    if (detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR) major++;
  }
});
observer.observe({ entryTypes: ['gc'] });

const begun = performance.now();
const live: object[] = [];
for (let at = 0; renewals.length <= RENEWALS; ) {
  // Short turns, as a service has: it is the collector that is to be late, and not this loop.
  for (let made = 0; made < 2_000; made++) {
    live[at] = { at, text: `${at}/${made}`, more: [made] };
    at = (at + 1) % LIVE;
  }
  await new Promise((resolve) => setImmediate(resolve));
}
const gaps = renewals.slice(1).map((sent, number) => sent - (renewals[number] ?? sent) - renewInterval);
const report: GarbageReport = {
  late: Math.max(...gaps),
  starved: busy(),
  lost,
  kept: grant.held,
  major,
  paused: pauses / (performance.now() - begun),
};
await sync.stop();
console.log(JSON.stringify(report));
