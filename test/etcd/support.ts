import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type EtcdOptions, etcd } from '../../src/backends/etcd/index.ts';
import type { Backend, StoredRecord } from '../../src/contract/backend.ts';
import { patience } from '../crowd.ts';

/** A signal that nobody aborts. */
export const never = new AbortController().signal;
setMaxListeners(0, never);

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (record: StoredRecord | undefined): string => new TextDecoder().decode(record?.value);

/** Lower-case hex, so that a name can stand in a key. */
export const uniqueName = (): string => crypto.randomUUID();

export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  within = 15_000,
): Promise<void> {
  const begun = performance.now();
  while (!(await holds())) {
    if (performance.now() - begun > patience(within))
      throw new Error(`It did not come true within ${within} ms: ${what}.`);
    await delay(5);
  }
}

export async function withEtcd<T>(options: EtcdOptions, use: (backend: Backend) => Promise<T>): Promise<T> {
  await using backend = etcd(options);
  return await use(backend);
}

export function put(backend: Backend, key: string, value = 'v'): Promise<unknown> {
  return backend.commit({ when: [], then: [{ put: key, value: bytes(value) }] }, never);
}

/** The TCP sockets of this process. */
export const socketCount = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'TCPConnectWrap')
    .length;
