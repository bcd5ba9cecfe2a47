/** Starts servers, tells their process ids, and waits to be killed. Run by `servers.test.ts`. */
import { startConsul } from './consul.ts';
import { startEtcd } from './etcd.ts';

const [etcd, consul] = await Promise.all([startEtcd(), startConsul()]);
const lock = etcd.spawnEtcdctl(['lock', 'orphan']);
console.log(
  JSON.stringify({ pids: [etcd.pid, consul.pid, lock.pid], folders: [etcd.folder, consul.folder] }),
);
if (process.argv.includes('--exit')) process.exit(0);
setInterval(() => undefined, 1_000);
