import { runReplica } from './replica.ts';
import { managerOf } from './replicas.ts';
import { connect, type StoreName } from './stores.ts';

const [name, address = '', run = '', number] = process.argv.slice(2);
const store = name as Exclude<StoreName, 'memory'>;
const sync = managerOf(connect(store, address), store);
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
// The parent is gone: so are we.
process.once('disconnect', () => stopping.abort());

await runReplica(sync, run, Number(number), (report) => process.send?.(report), stopping.signal);
await sync.stop();
process.disconnect?.();
