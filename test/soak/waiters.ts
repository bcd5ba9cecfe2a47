import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { SyncManager } from 'holdfast';
import { TcpProxy } from 'holdfast/testing';
import { ClientSockets } from '../real/client-sockets.ts';
import { live, Managers, uniqueKey, until } from '../scenarios/world.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';
import { worldOf } from './stores.ts';

/** On which a service waits; on Postgres all it has. */
const MOST_WATCH_SOCKETS = { etcd: 2, consul: 2, postgres: 4 };

export type WaitedStore = keyof typeof MOST_WATCH_SOCKETS;

export interface WaiterOptions extends RowOptions {
  /** Services, each of which is to the server what a process is. The waiters are shared out among them. */
  readonly managers: number;
}

/** Many callers want one key: a service stands in line once, watches on two sockets at most, and serves in order. */
export async function waiters(
  store: WaitedStore,
  address: string,
  options: WaiterOptions,
): Promise<RowResult> {
  using sockets = new WatchSockets();
  const world = worldOf(store, address);
  await using managers = new Managers(world);
  const operator = managers.operator();
  const holder = await managers.make().acquire(uniqueKey('many'));
  const { key } = holder;
  const services = await Promise.all(
    Array.from({ length: options.managers }, () => Service.start(managers, store, address)),
  );
  const each = Math.floor(options.count / options.managers);
  for (const service of services) service.want(key, each);
  const standing = async () =>
    (await operator.query({ prefix: operator.lockPath(key) }, { signal: live })).records;
  // In a race nobody who waits leaves a record.
  const contenders = operator.traits.contention === 'queue' ? services.length : 0;
  await until(async () => (await standing()).length === 1 + contenders);
  await until(() => services.every(({ proxy }) => store !== 'consul' || sockets.of(proxy.address) > 0));

  await holder.release();
  let [served, mostRecords] = [0, 0];
  const count = (): number => services.reduce((sum, { order }) => sum + order.length, 0);
  while (served < each * services.length && !isOver(options)) {
    mostRecords = Math.max(mostRecords, (await standing()).length);
    await until(() => count() > served);
    served = count();
    options.onProgress?.(served);
  }
  const whole = served === each * services.length;
  const watching = services.map(({ proxy, connections }) =>
    store === 'consul'
      ? sockets.of(proxy.address)
      : // The package pg makes its sockets in a way that is not told of in the process.
        store === 'postgres'
        ? proxy.mostOpen
        : connections.most,
  );
  const figures =
    `${served} waiters in ${services.length} services on ${store}: at most ${mostRecords} records, ` +
    `${Math.max(...watching)} watch sockets a service (${Math.max(...services.map(({ connections }) => connections.most))} connections in all)`;
  assert(Math.max(...watching) <= MOST_WATCH_SOCKETS[store], figures);
  // One contender a service; in a race the record itself.
  assert(mostRecords <= Math.max(1, contenders), figures);
  for (const { order } of services)
    assert.deepEqual(order, [...order.keys()], 'not first come, first served');
  if (whole) await until(async () => (await standing()).length === 0);
  await Promise.all(services.map((service) => service.stop()));
  return { done: served, figures };
}

/** One manager with its own way to the server, on which its connections can be counted. */
class Service {
  readonly proxy: TcpProxy;
  readonly connections: ClientSockets;
  /** Who was served, in turn. */
  readonly order: number[] = [];
  readonly #sync: SyncManager;
  readonly #giveUp = new AbortController();
  #visits: Promise<void>[] = [];

  private constructor(proxy: TcpProxy, sync: SyncManager) {
    this.proxy = proxy;
    this.connections = new ClientSockets(proxy.address);
    this.#sync = sync;
  }

  static async start(managers: Managers, store: WaitedStore, address: string): Promise<Service> {
    const proxy = await TcpProxy.open(address);
    return new Service(proxy, managers.make({ backend: worldOf(store, proxy.address).backend() }));
  }

  want(key: string, callers: number): void {
    this.#visits = Array.from({ length: callers }, (_, number) => this.#visit(key, number));
  }

  async stop(): Promise<void> {
    this.#giveUp.abort(new Error('the time is over'));
    await Promise.all(this.#visits);
    await this.#sync.stop();
    this.connections[Symbol.dispose]();
    await this.proxy[Symbol.asyncDispose]();
  }

  async #visit(key: string, number: number): Promise<void> {
    const { signal } = this.#giveUp;
    try {
      const grant = await this.#sync.acquire(key, { signal });
      this.order.push(number);
      assert(grant.held);
      await grant.release();
    } catch (error) {
      if (error !== signal.reason) throw error;
    }
  }
}

const CHANNEL = 'http.client.request.start';

/** How many sockets at a time carried blocking queries to Consul, of all clients of this process. */
class WatchSockets implements Disposable {
  readonly #byAddress = new Map<string, Set<Socket>>();
  readonly #most = new Map<string, number>();
  readonly #onRequest = (message: unknown): void => {
    const { request } = message as { request: ClientRequest };
    if (!/[?&]index=[1-9]/.test(request.path)) return;
    const address = String(request.getHeader('host'));
    if (request.socket) this.#add(address, request.socket);
    else request.once('socket', (socket) => this.#add(address, socket));
  };

  constructor() {
    subscribe(CHANNEL, this.#onRequest);
  }

  of(address: string): number {
    return this.#most.get(address) ?? 0;
  }

  /** One that broke is no longer there when another takes its place. */
  #add(address: string, socket: Socket): void {
    const before = [...(this.#byAddress.get(address) ?? [])].filter(({ destroyed }) => !destroyed);
    const sockets = new Set([...before, socket]);
    this.#byAddress.set(address, sockets);
    this.#most.set(address, Math.max(this.of(address), sockets.size));
  }

  [Symbol.dispose](): void {
    unsubscribe(CHANNEL, this.#onRequest);
  }
}
