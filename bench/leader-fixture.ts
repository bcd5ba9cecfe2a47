// Run as a process: leads until it is told to let go, or gets SIGTERM.
import { createInterface } from 'node:readline';
import { SyncManager } from 'holdfast';
import { connectTo, type Store } from './clients.ts';

const [store = '', address = '', ttl = ''] = process.argv.slice(2);
const backend = connectTo(store as Store, address);
const sync = new SyncManager({ name: 'fail-over', backend, session: { ttl: Number(ttl), lockDelay: 0 } });
process.once('SIGTERM', () => {
  void sync.stop().then(() => process.exit(0));
});
const lock = sync.leadershipLock();
await lock.lock();
console.log(JSON.stringify({ leads: true }));
for await (const _ of createInterface({ input: process.stdin })) await lock.release();
