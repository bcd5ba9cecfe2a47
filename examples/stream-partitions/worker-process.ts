// One worker, as a process.
import { installShutdown } from 'holdfast';
import { managerOf } from '../demo/replicas.ts';
import { connect, type StoreName } from '../demo/stores.ts';
import { Ledger } from './ledger.ts';
import { startWorker } from './worker.ts';

const [name, address = '', stream = '', pace, file = ''] = process.argv.slice(2);
const store = name as Exclude<StoreName, 'memory'>;
const sync = managerOf(connect(store, address), store);
installShutdown(sync);
// The parent is gone: so are we.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

await startWorker(sync, stream, Number(pace), new Ledger(file), (news) => process.send?.(news));
