import type { Backend } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';

/** The names of the real servers, for tests that say the same of each. */
export const stores = ['etcd', 'Consul'] as const;

export type Store = (typeof stores)[number];

/** A fresh client. Usable in a process of its own too, where there is no test runner. */
export function connectTo(
  store: Store,
  address: string,
  options: { readonly requestTimeout?: number } = {},
): Backend {
  return store === 'etcd'
    ? etcd({ hosts: address, ...options })
    : consul({ addresses: [address], sessionTtlMin: 1_000, ...options });
}
