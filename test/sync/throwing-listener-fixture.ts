// Run as a process: a listener of a grant's signal throws, which Node raises as an uncaught exception.
import { SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';

const uncaught: string[] = [];
process.on('uncaughtException', ({ message }) => uncaught.push(message));
const store = new MemoryStore();
const sync = new SyncManager({ name: 'svc', backend: memory({ store }), session: { ttl: 300 } });
const [doomed, other] = [await sync.acquire('doomed'), await sync.acquire('other')];
let others = 0;
doomed.signal.addEventListener('abort', () => {
  throw new Error('listener');
});
doomed.signal.addEventListener('abort', () => others++);
await doomed.release();
// Longer than the TTL: only renewals keep it.
await new Promise((resolve) => setTimeout(resolve, 600));
const { held } = other;
await sync.stop();
console.log(JSON.stringify({ uncaught, others, held, left: store.records().length }));
