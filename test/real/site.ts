import type { Backend, StoredRecord, SyncManager, SyncManagerOptions } from 'holdfast';
import { TcpProxy } from 'holdfast/testing';
import { inject } from 'vitest';
import { live, Managers } from '../scenarios/world.ts';
import { connectTo, type Store } from './stores.ts';

/** The shortest TTL of etcd, in milliseconds. */
export const TTL = 2_000;

/** The session of those who take over: it is not they who are to lose anything. */
export const PATIENT = { ttl: 10_000, lockDelay: 0 };

/** The server that all tests share. */
export function addressOf(store: Store): string {
  const addresses = {
    etcd: 'etcdAddress',
    Consul: 'consulAddress',
    Postgres: 'postgresAddress',
  } as const;
  return inject(addresses[store]);
}

interface SiteOptions {
  /** Default: the server that all tests share. */
  readonly address?: string;
  readonly ttl?: number;
}

/** One real server, reached directly by some and through a bad network by others. Without lock-delay. */
export class Site implements AsyncDisposable {
  readonly store: Store;
  readonly proxy: TcpProxy;
  /** Those that it makes by itself reach the server directly. */
  readonly managers: Managers;
  readonly operator: Backend;
  readonly #bare: Backend[] = [];

  private constructor(store: Store, proxy: TcpProxy, managers: Managers) {
    this.store = store;
    this.proxy = proxy;
    this.managers = managers;
    this.operator = managers.operator();
  }

  static async open(store: Store, options: SiteOptions = {}): Promise<Site> {
    const { address = addressOf(store), ttl = TTL } = options;
    const backend = (): Backend => connectTo(store, address);
    const managers = new Managers({ name: store, ttl, lockDelay: 0, backend });
    return new Site(store, await TcpProxy.open(address), managers);
  }

  /** For a manager, which disposes of it. */
  connect(): Backend {
    return connectTo(this.store, this.proxy.address);
  }

  /** A client of its own through the bad network. */
  bare(): Backend {
    const backend = this.connect();
    this.#bare.push(backend);
    return backend;
  }

  /** A manager that reaches the server through the bad network. */
  remote(options: Partial<SyncManagerOptions> = {}): SyncManager {
    return this.managers.make({ backend: this.connect(), ...options });
  }

  /** What really stands below a prefix. */
  async records(prefix: string): Promise<readonly StoredRecord[]> {
    return (await this.operator.query({ prefix }, { signal: live })).records;
  }

  /** When the server has taken the record from this session: the monotonic instant. */
  async expiry(key: string, session: string): Promise<number> {
    let { records, at } = await this.operator.query({ key }, { signal: live });
    while (records[0]?.session === session) {
      ({ records, at } = await this.operator.query({ key }, { since: at, wait: 1_000, signal: live }));
    }
    return performance.now();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy.heal();
    await this.managers[Symbol.asyncDispose]();
    await Promise.all(this.#bare.map((backend) => backend[Symbol.asyncDispose]()));
    await this.proxy[Symbol.asyncDispose]();
  }
}
