// Run as a process: holds a lock, says so on its standard output, and goes on until it is killed.

import { SyncManager } from 'holdfast';
import { connectTo, type Store } from './stores.ts';

const [store, address = '', key = '', ttl, lockDelay] = process.argv.slice(2);
const sync = new SyncManager({
  name: 'crashes',
  backend: connectTo(store as Store, address),
  session: { ttl: Number(ttl), lockDelay: Number(lockDelay) },
});
const grant = await sync.lock(key).lock();
console.log(String(grant.token));
