import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { MemoryStore, memory } from 'holdfast/memory';
import { postgres } from 'holdfast/postgres';
import type { World } from '../scenarios/world.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import { postgresUrl, startPostgres } from '../servers/postgres.ts';

/** Milliseconds. So long that a busy machine loses no lock: these rows are not about expiry. */
const TTL = 20_000;

export function memoryWorld(contention: 'queue' | 'race' = 'queue'): World {
  const store = new MemoryStore({ contention });
  return { name: 'memory', ttl: TTL, lockDelay: 0, backend: () => memory({ store }) };
}

export function etcdWorld(address: string): World {
  return { name: 'etcd', ttl: TTL, lockDelay: 0, backend: () => etcd({ hosts: address }) };
}

/** The server must grant sessions from 1 s on. Without a lock-delay, so that keys can be taken again at once. */
export function consulWorld(address: string): World {
  const backend = () => consul({ addresses: [address], sessionTtlMin: 1_000 });
  return { name: 'Consul', ttl: TTL, lockDelay: 0, backend };
}

/** With the schema `holdfast`. */
export function postgresWorld(address: string): World {
  const backend = () => postgres({ connectionString: postgresUrl(address) });
  return { name: 'Postgres', ttl: TTL, lockDelay: 0, backend };
}

export type StoreName = 'memory' | 'etcd' | 'consul' | 'postgres';

export interface OwnServer extends AsyncDisposable {
  readonly address: string;
}

/** A Consul that takes as many connections as many managers of one process need. */
export function startRoomyConsul(): Promise<OwnServer> {
  return startConsul({ sessionTtlMin: '1s', limits: { httpMaxConnsPerClient: 2_000 } });
}

const start = {
  etcd: () => startEtcd(),
  consul: startRoomyConsul,
  postgres: () => startPostgres({ schema: true }),
} satisfies Record<Exclude<StoreName, 'memory'>, () => Promise<OwnServer>>;

/** Runs `work` on a store that nobody else uses. */
export async function onOwnStore<T>(name: StoreName, work: (world: World, address: string) => Promise<T>) {
  if (name === 'memory') return await work(memoryWorld(), '');
  await using server = await start[name]();
  return await work(worldOf(name, server.address), server.address);
}

/** The world of a server that runs already. */
export function worldOf(name: string, address: string): World {
  if (name === 'memory') return memoryWorld();
  if (name === 'postgres') return postgresWorld(address);
  return (name === 'etcd' ? etcdWorld : consulWorld)(address);
}
