import { randomBytes } from 'node:crypto';
import { Etcd3, EtcdLockFailedError } from 'etcd3';
import { type Backend, SyncManager, type SyncManagerOptions } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { Redis } from 'ioredis';
import Redlock from 'redlock';
import type { Servers } from './row.ts';

export const stores = ['etcd', 'Consul'] as const;
export type Store = (typeof stores)[number];

/** Milliseconds. Nothing here is to expire. */
export const TTL = 30_000;
/** Of sessions that nobody renews. */
export const LASTING_TTL = 3_600_000;
export const live = new AbortController().signal;

export function uniqueKey(stem: string): string {
  return `bench-${randomBytes(4).toString('hex')}/${stem}`;
}

export function addressOf(servers: Servers, store: Store): string {
  return store === 'etcd' ? servers.etcd.address : servers.consul.address;
}

export function connectTo(store: Store, address: string): Backend {
  return store === 'etcd' ? etcd({ hosts: address }) : consul({ addresses: [address], sessionTtlMin: 1_000 });
}

export function newManager(
  servers: Servers,
  store: Store,
  options: Partial<SyncManagerOptions> = {},
): SyncManager {
  const backend = connectTo(store, addressOf(servers, store));
  return new SyncManager({ name: 'bench', backend, session: { ttl: TTL, lockDelay: 0 }, ...options });
}

/** The floor: what two consensus writes take over the same client, with nothing of the engine. */
export class BareCycles implements AsyncDisposable {
  readonly #backend: Backend;
  readonly #session: string;

  private constructor(backend: Backend, session: string) {
    this.#backend = backend;
    this.#session = session;
  }

  static async open(servers: Servers, store: Store): Promise<BareCycles> {
    const backend = connectTo(store, addressOf(servers, store));
    const { id } = await backend.openSession({ name: 'bare', ttl: LASTING_TTL, lockDelay: 0 }, live);
    return new BareCycles(backend, id);
  }

  async cycle(key: string): Promise<void> {
    const path = this.#backend.lockPath(key);
    const record = path.endsWith('/') ? path + this.#session : path;
    const put = { put: record, value: new Uint8Array(), session: this.#session };
    const taken = await this.#backend.commit({ when: [{ key: record, is: 'absent' }], then: [put] }, live);
    if (!taken.ok) throw new Error(`not taken: ${taken.why}`);
    const { revision } = taken;
    const given = await this.#backend.commit(
      { when: [{ key: record, revision }], then: [{ remove: record }] },
      live,
    );
    if (!given.ok) throw new Error(`not given back: ${given.why}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#backend.closeSession(this.#session, live);
    await this.#backend[Symbol.asyncDispose]();
  }
}

/** A peer: takes and gives back a lock, and tries again for as long as it is taken. */
export interface Peer extends AsyncDisposable {
  readonly name: string;
  cycle(key: string): Promise<void>;
}

/** Milliseconds from one try to the next, for peers that cannot wait. Around a millisecond hand-off, as it suits them best. */
const RETRY = 5;

export function etcd3Peer({ etcd: server }: Servers): Peer {
  const client = new Etcd3({ hosts: server.url });
  return {
    name: 'npm etcd3 lock()',
    async cycle(key) {
      for (;;) {
        const lock = client.lock(key).ttl(TTL / 1_000);
        try {
          await lock.acquire();
        } catch (error) {
          if (!(error instanceof EtcdLockFailedError)) throw error;
          await new Promise((resolve) => setTimeout(resolve, RETRY * (0.5 + Math.random())));
          continue;
        }
        await lock.release();
        return;
      }
    },
    async [Symbol.asyncDispose]() {
      client.close();
    },
  };
}

export function redlockPeer({ redisPort }: Servers): Peer | undefined {
  if (redisPort === undefined) return undefined;
  const redis = new Redis(redisPort, '127.0.0.1');
  const settings = {
    retryCount: -1,
    retryDelay: RETRY,
    retryJitter: RETRY,
    automaticExtensionThreshold: 500,
  };
  const redlock = new Redlock([redis], settings);
  return {
    name: 'redlock',
    async cycle(key) {
      const lock = await redlock.acquire([key], TTL);
      await lock.release();
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
    },
  };
}
