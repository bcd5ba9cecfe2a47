import type { Backend } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { MemoryStore, memory } from 'holdfast/memory';
import { postgres } from 'holdfast/postgres';
import { startConsul } from '../../test/servers/consul.ts';
import { startEtcd } from '../../test/servers/etcd.ts';
import { startPostgres } from '../../test/servers/postgres.ts';

export const STORES = ['memory', 'etcd', 'consul', 'postgres'] as const;
export type StoreName = (typeof STORES)[number];

/** Milliseconds. Consul grants no TTL below 10 s unless it is told to, and may take twice as long to notice. */
export const TTL: Record<StoreName, number> = { memory: 1_500, etcd: 2_000, consul: 10_000, postgres: 2_000 };
export const LOCK_DELAY = 1_000;

/** After how many milliseconds without anything to tell the demo gives up. */
export const BOUND: Record<StoreName, number> = {
  memory: 30_000,
  etcd: 60_000,
  consul: 60_000,
  postgres: 60_000,
};

export interface Store extends AsyncDisposable {
  /** `host:port`, or a connection string, for child processes; the memory store has none. */
  readonly address: string | undefined;
  connect(): Backend;
}

/** The named store: at the given address, or a real server that is started here and ends with the demo. */
export async function openStore(name: StoreName, address: string | undefined): Promise<Store> {
  if (name === 'memory') {
    const store = new MemoryStore();
    return { address: undefined, connect: () => memory({ store }), [Symbol.asyncDispose]: async () => {} };
  }
  if (address !== undefined) {
    return { address, connect: () => connect(name, address), [Symbol.asyncDispose]: async () => {} };
  }
  const server = await start(name);
  const at = 'url' in server && name === 'postgres' ? server.url : server.address;
  return {
    address: at,
    connect: () => connect(name, at),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function start(name: Exclude<StoreName, 'memory'>) {
  switch (name) {
    case 'etcd':
      return startEtcd();
    case 'consul':
      return startConsul();
    case 'postgres':
      return startPostgres({ schema: true });
  }
}

export function connect(name: Exclude<StoreName, 'memory'>, address: string): Backend {
  switch (name) {
    case 'etcd':
      return etcd({ hosts: address });
    case 'consul':
      return consul({ addresses: [address] });
    case 'postgres':
      return postgres({ connectionString: address });
  }
}
