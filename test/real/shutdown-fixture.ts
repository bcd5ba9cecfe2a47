// Run as a process: leads, and is ended by a signal.
import { installShutdown, SyncManager } from 'holdfast';
import { connectTo, type Store } from './stores.ts';

const [store = '', address = '', name = '', listens] = process.argv.slice(2);
const backend = connectTo(store as Store, address);
const sync = new SyncManager({ name, backend, session: { ttl: 10_000, lockDelay: 0 } });
installShutdown(sync, {
  before: () => {
    console.log('before');
    return listens === 'hangs' ? new Promise(() => {}) : undefined;
  },
  beforeTimeout: 300,
});
if (listens === 'listens') process.on('SIGTERM', () => setTimeout(() => process.exit(7), 500));
await sync.leadershipLock().lock();
// Something that keeps the process alive, as a server would.
setInterval(() => {}, 1_000);
console.log('leads');
