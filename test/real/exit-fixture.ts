// Run as a process: takes and wants locks, stops, and has to end by itself.
import { type Backend, SyncManager } from 'holdfast';
import { connectTo, type Store } from './stores.ts';

const [store, address = ''] = process.argv.slice(2);
const connect = (): Backend => connectTo(store as Store, address);
const session = { ttl: 2_000 };
const sync = new SyncManager({ name: 'exit', backend: connect(), session });
const other = new SyncManager({ name: 'exit', backend: connect(), session });
const lock = sync.lock(`exit/${process.pid}`);
await lock.lock();
await sync.acquire(`exit/${process.pid}/scoped`);
const waits = other.lock(lock.key);
await waits.tryLock();
const call = waits.lock().catch((error: unknown) => String(error));
await Promise.all([sync.stop(), other.stop()]);
console.log(await call);
