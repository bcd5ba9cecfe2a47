import type { Backend } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { postgres } from 'holdfast/postgres';

/** The names of the real servers, for tests that say the same of each. */
export const stores = ['etcd', 'Consul', 'Postgres'] as const;

export type Store = (typeof stores)[number];

/** Those of them that are reached by gRPC and by HTTP. */
export const webStores = ['etcd', 'Consul'] as const;

export type WebStore = (typeof webStores)[number];

/** A fresh client. Usable in a process of its own too, where there is no test runner. */
export function connectTo(
  store: Store,
  address: string,
  options: { readonly requestTimeout?: number } = {},
): Backend {
  switch (store) {
    case 'etcd':
      return etcd({ hosts: address, ...options });
    case 'Consul':
      return consul({ addresses: [address], sessionTtlMin: 1_000, ...options });
    case 'Postgres':
      return postgres({ connectionString: `postgres://postgres@${address}/postgres`, ...options });
  }
}
