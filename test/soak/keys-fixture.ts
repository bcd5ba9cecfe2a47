// Run as a process with `--expose-gc`: locks and releases many distinct keys, and tells what is left of them.
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { SyncManager } from 'holdfast';
import { memory } from 'holdfast/memory';
import type { KeysReport } from './keys.ts';
import { levels } from './levels.ts';

const [use = '', count = ''] = process.argv.slice(2);
const total = Number(count);
/** Keys. Compiled code, and what the store remembers of its latest changes, is there by then. */
const WARM = 20_000;
/** Keys between two turns of the event loop: timers and finalizers have to have theirs, as in a service. */
const BATCH = 500;
/** Looks at the heap, at most: finalizers run when the collector has had the time. */
const MOST_LOOKS = 8;

const requests = new AsyncLocalStorage<{ readonly body: Uint8Array }>();
const sync = new SyncManager({ name: 'keys', backend: memory() });
let slowestHealthMs = 0;

async function cycle(key: string): Promise<void> {
  if (use === 'standing') {
    const lock = sync.lock(key);
    await lock.lock();
    await lock.release();
  } else {
    const grant = await sync.acquire(key);
    await grant.release();
  }
}

async function cycles(stem: string, number: number): Promise<void> {
  for (let n = 0; n < number; n++) {
    await requests.run({ body: new Uint8Array(256) }, () => cycle(`${stem}/${n}`));
    if (n % BATCH > 0) continue;
    await sleep(0);
    const before = performance.now();
    sync.health();
    slowestHealthMs = Math.max(slowestHealthMs, performance.now() - before);
  }
}

async function leastHeap(enough: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < MOST_LOOKS && least > enough; look++) {
    least = Math.min(least, (await levels()).heapBytes);
  }
  return least;
}

await cycles('warm', WARM);
const before = await leastHeap(0);
slowestHealthMs = 0;
await cycles('keys', total);
const after = await leastHeap(before);
await sync.stop();
console.log(
  JSON.stringify({ done: total, heapGrowth: after - before, slowestHealthMs } satisfies KeysReport),
);
