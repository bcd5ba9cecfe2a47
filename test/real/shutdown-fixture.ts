// Run as a process: leads, and is ended by a signal.
import { installShutdown, SyncManager } from 'holdfast';
import { connectTo, type Store } from './stores.ts';

const [store = '', address = '', name = '', listens, first] = process.argv.slice(2);
if (first === 'as-first') {
  Object.defineProperty(process, 'pid', { value: 1 });
  process.kill = () => true;
}
const backend = connectTo(store as Store, address);
const sync = new SyncManager({ name, backend, session: { ttl: 10_000, lockDelay: 0 } });
installShutdown(sync, {
  before: () => {
    console.log('before');
    return listens?.startsWith('hangs') ? new Promise(() => {}) : undefined;
  },
  beforeTimeout: listens === 'hangs-long' ? 60_000 : 300,
});
if (listens === 'listens') process.on('SIGTERM', () => setTimeout(() => process.exit(7), 500));
await sync.leadershipLock().lock();
// A second part of the same service, with a shutdown of its own that takes longer.
if (listens === 'twice') {
  const second = new SyncManager({
    name,
    backend: connectTo(store as Store, address),
    session: { ttl: 10_000, lockDelay: 0 },
  });
  installShutdown(second, { before: () => new Promise((resolve) => setTimeout(resolve, 500)) });
  await second.lock(`service/${name}/second`).lock();
}
// Something that keeps the process alive, as a server would.
setInterval(() => {}, 1_000);
console.log('leads');
