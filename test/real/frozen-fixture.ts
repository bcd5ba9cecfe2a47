// Run as a process: holds a lock, is stopped in the middle of it, and tells what it believes when it goes on.

import { SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';

const [store, address = '', key = ''] = process.argv.slice(2);
const backend =
  store === 'etcd' ? etcd({ hosts: address }) : consul({ addresses: [address], sessionTtlMin: 1_000 });
const sync = new SyncManager({ name: 'frozen', backend, session: { ttl: 2_000, lockDelay: 0 } });
const grant = await sync.lock(key).lock();
process.send?.({ token: String(grant.token) });
process.on('message', async (message) => {
  if (message === 'stop') {
    await sync.stop();
    process.disconnect();
    return;
  }
  const { held } = grant;
  const written = await sync.commit({
    when: [grant.isOwner],
    then: [{ put: `${key}/data`, value: 'stale' }],
  });
  process.send?.({ held, aborted: grant.signal.aborted, written });
});
