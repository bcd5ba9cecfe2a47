import type { Backend } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { MemoryStore, memory } from 'holdfast/memory';
import { startConsul } from '../../test/servers/consul.ts';
import { startEtcd } from '../../test/servers/etcd.ts';

export const STORES = ['memory', 'etcd', 'consul'] as const;
export type StoreName = (typeof STORES)[number];

/** Milliseconds. Consul grants no TTL below 10 s unless it is told to, and may take twice as long to notice. */
export const TTL: Record<StoreName, number> = { memory: 1_500, etcd: 2_000, consul: 10_000 };
export const LOCK_DELAY = 1_000;

/** After how many milliseconds without anything to tell the demo gives up. */
export const BOUND: Record<StoreName, number> = { memory: 30_000, etcd: 60_000, consul: 60_000 };

export interface Store extends AsyncDisposable {
  /** `host:port`, for child processes; the memory store has none. */
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
  const server = name === 'etcd' ? await startEtcd() : await startConsul();
  return {
    address: server.address,
    connect: () => connect(name, server.address),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export function connect(name: Exclude<StoreName, 'memory'>, address: string): Backend {
  return name === 'etcd' ? etcd({ hosts: address }) : consul({ addresses: [address] });
}
