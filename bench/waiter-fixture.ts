// Run as a process: waits as it is told to, and tells when what it waited for has come.
import { createInterface } from 'node:readline';
import Consul from 'consul';
import { Etcd3 } from 'etcd3';
import { SyncManager } from 'holdfast';
import { connectTo, type Store, TTL } from './clients.ts';
import { sharedNow } from './peer-process.ts';

const [store = '', address = ''] = process.argv.slice(2);
const [host = '', port = ''] = address.split(':');
const sync = new SyncManager({
  name: 'waiter',
  backend: connectTo(store as Store, address),
  session: { ttl: TTL, lockDelay: 0 },
});
const etcd = new Etcd3({ hosts: address });
const consul = new Consul({ host, port: Number(port) });
const tell = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function holdfast(key: string): Promise<void> {
  const lock = sync.lock(key);
  const held = lock.lock();
  const waiting = lock.state$.subscribe(({ name }) => {
    if (name === 'waiting') tell({ waiting: true });
  });
  await held;
  const at = sharedNow();
  waiting.unsubscribe();
  await lock.release();
  tell({ at });
}

async function bareEtcd(key: string): Promise<void> {
  const watcher = await etcd.watch().key(key).create();
  tell({ waiting: true });
  await new Promise((resolve) => watcher.once('delete', resolve));
  const at = sharedNow();
  await watcher.cancel();
  tell({ at });
}

async function bareConsul(key: string): Promise<void> {
  const entry = await consul.kv.get(key);
  const index = String(entry?.ModifyIndex);
  // Its types know nothing of blocking.
  const query = { key, index, wait: '60s' };
  const blocked = consul.kv.get(query);
  tell({ waiting: true });
  await blocked;
  tell({ at: sharedNow() });
}

for await (const line of createInterface({ input: process.stdin })) {
  const { key, mode } = JSON.parse(line) as { key: string; mode: 'bare' | 'holdfast' };
  if (mode === 'holdfast') await holdfast(key);
  else await (store === 'etcd' ? bareEtcd(key) : bareConsul(key));
}
