import type { Backend } from 'holdfast';
import { type LogLine, Replica } from '../../examples/orders-service/replicas.ts';
import type { Settings } from '../../examples/orders-service/settings.ts';
import { connectTo, type Store } from '../real/stores.ts';
import { live, uniqueKey, until } from '../scenarios/world.ts';
import { postgresUrl } from '../servers/postgres.ts';

export interface Run {
  readonly replica: string;
  readonly begins: number;
  readonly ends: number;
}

/** Replicas of the orders service against one server, and what they log. */
export class Shop implements AsyncDisposable {
  readonly name = uniqueKey('orders').replaceAll('/', '-');
  readonly lines: LogLine[] = [];
  readonly replicas: Replica[] = [];
  readonly operator: Backend;
  readonly settings: Omit<Settings, 'replica'>;
  readonly #urls = new Map<Replica, string>();
  readonly #killedAt = new Map<string, number>();

  constructor(store: Store, address: string, ttl: number) {
    const backends = { etcd: 'etcd', Consul: 'consul', Postgres: 'postgres' } as const;
    const at = store === 'Postgres' ? postgresUrl(address) : address;
    this.settings = { backend: backends[store], address: at, name: this.name, port: 0, ttl, interval: 200 };
    this.operator = connectTo(store, address);
  }

  async add(): Promise<Replica> {
    const settings = { ...this.settings, replica: `replica-${this.replicas.length}` };
    const replica = new Replica(settings, (line) => this.lines.push(line));
    this.replicas.push(replica);
    this.#urls.set(replica, await replica.url);
    return replica;
  }

  /** Of the replicas that were not ended. */
  get urls(): string[] {
    return this.replicas.filter(({ running }) => running).map((replica) => this.#urls.get(replica) ?? '');
  }

  async get(replica: Replica, path: string): Promise<{ readonly status: number; readonly body: unknown }> {
    const response = await fetch(`${this.#urls.get(replica)}${path}`);
    return { status: response.status, body: await response.json() };
  }

  end(replica: Replica, signal: 'SIGKILL' | 'SIGTERM'): number {
    const at = replica.kill(signal);
    if (signal === 'SIGKILL') this.#killedAt.set(replica.name, at);
    return at;
  }

  /** The replica that said last that it leads, and when; of those who said so after this instant. */
  async leaderAfter(instant: number, bound: number): Promise<{ replica: Replica; at: number }> {
    const leads = () => this.lines.find(({ msg, time }) => msg === 'leads' && time >= instant);
    await until(() => leads() !== undefined, bound).catch((error: unknown) => {
      // Each replica's own account, without the payments: nothing else tells why.
      const told = this.lines.filter(({ msg }) => !/settle|paid|request/.test(msg)).slice(-100);
      const account = told.map((line) => JSON.stringify(line)).join('\n');
      throw new Error(`nobody leads ${bound} ms after ${instant}:\n${account}`, { cause: error });
    });
    const line = leads() as LogLine;
    return { replica: this.replicas.find(({ name }) => name === line.replica) as Replica, at: line.time };
  }

  /** As an operator does: the session of who leads. */
  async revokeLeader(): Promise<number> {
    const key = `service/${this.name}/leadership`;
    const { records } = await this.operator.query({ prefix: this.operator.lockPath(key) }, { signal: live });
    const oldest = records.toSorted((a, b) => (a.created < b.created ? -1 : 1))[0];
    const at = Date.now();
    await this.operator.closeSession(oldest?.session ?? '', live);
    return at;
  }

  /** When the scheduled job ran where. One that was killed meanwhile ran until then. */
  get runs(): Run[] {
    const open = new Map<string, number>();
    const runs: Run[] = [];
    const end = (replica: string, ends: number): void => {
      const begins = open.get(replica);
      if (begins !== undefined) runs.push({ replica, begins, ends });
      open.delete(replica);
    };
    for (const { msg, replica, time } of this.lines) {
      if (msg === 'settlement begins') open.set(replica, time);
      if (msg === 'settlement ends') end(replica, time);
    }
    for (const replica of [...open.keys()]) end(replica, this.#killedAt.get(replica) ?? Infinity);
    return runs;
  }

  async #clear(): Promise<true> {
    const { records } = await this.operator.query({ prefix: `${this.name}-data/` }, { signal: live });
    for (const { key } of records) await this.operator.commit({ when: [], then: [{ remove: key }] }, live);
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const replica of this.replicas) if (replica.running) replica.kill('SIGKILL');
    // Again and again: a busy machine may leave a request without an answer.
    await until(() => this.#clear().catch(() => false));
    await this.operator[Symbol.asyncDispose]();
  }
}
