// Run as a process: holds many locks, stops, tells what that took, and has to end by itself.
import { type Backend, SyncManager } from 'holdfast';
import { withVerbs } from '../with-verbs.ts';
import { inParallel } from './parallel.ts';
import type { StopReport } from './stop.ts';
import { worldOf } from './stores.ts';

const [store = '', address = '', stem = '', count = ''] = process.argv.slice(2);
const world = worldOf(store, address);
const inner = world.backend();
const report = { held: 0, tookMs: 0, removals: 0, mostAtOnce: 0, removalsAfterClosing: 0, endedAt: 0 };
let [stopping, removing, closing] = [false, 0, false];
const backend: Backend = withVerbs(inner, {
  closeSession: (id, signal) => {
    closing = true;
    report.removalsAfterClosing += removing;
    return inner.closeSession(id, signal);
  },
  commit: async (commit, signal) => {
    if (!stopping || !commit.then.some((mutation) => mutation.remove !== undefined))
      return inner.commit(commit, signal);
    report.removals++;
    if (closing) report.removalsAfterClosing++;
    report.mostAtOnce = Math.max(report.mostAtOnce, ++removing);
    try {
      return await inner.commit(commit, signal);
    } finally {
      removing--;
    }
  },
});
const { ttl, lockDelay } = world;
const sync = new SyncManager({ name: 'stop', backend, session: { ttl, lockDelay } });
const grants = await inParallel(Number(count), 200, (number) =>
  number % 2 === 0 ? sync.acquire(`${stem}/${number}`) : sync.lock(`${stem}/${number}`).lock(),
);
report.held = grants.filter(({ held }) => held).length;
const begun = performance.now();
stopping = true;
await sync.stop();
report.tookMs = performance.now() - begun;
report.endedAt = Date.now();
console.log(JSON.stringify(report satisfies StopReport));
