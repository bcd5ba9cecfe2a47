import { setTimeout as sleep } from 'node:timers/promises';
import Consul from 'consul';
import { Etcd3 } from 'etcd3';
import { median } from 'simple-statistics';
import { addressOf, newManager, type Store, stores, uniqueKey } from '../clients.ts';
import { ratioOf } from '../paired.ts';
import { PeerProcess, sharedNow } from '../peer-process.ts';
import { interval, type Line, ms, type Row, type RowReport, type Servers, type Settings } from '../row.ts';

const GOAL = 1.3;
/** Milliseconds, until whoever waits has begun to. */
const SETTLING = 40;
const ROUNDS_A_BLOCK = 5;
const WARM_UP = 10;

type Mode = 'bare' | 'bare again' | 'holdfast';

/** How long after one process lets go the other has it. */
class HandOffs implements AsyncDisposable {
  readonly #sync: ReturnType<typeof newManager>;
  readonly #etcd: Etcd3;
  readonly #consul: Consul;
  readonly #store: Store;
  readonly #peer: PeerProcess;

  constructor(servers: Servers, store: Store) {
    this.#store = store;
    this.#sync = newManager(servers, store);
    this.#etcd = new Etcd3({ hosts: servers.etcd.url });
    this.#consul = new Consul({ host: servers.consul.host, port: servers.consul.port });
    this.#peer = new PeerProcess('waiter-fixture.ts', [store, addressOf(servers, store)]);
  }

  async once(mode: Mode): Promise<number> {
    const key = uniqueKey('hand-off');
    const letGo = await (mode === 'holdfast' ? this.#hold(key) : this.#put(key));
    this.#peer.tell({ key, mode: mode === 'holdfast' ? mode : 'bare' });
    await this.#peer.told<{ waiting: true }>();
    await sleep(SETTLING);
    const begun = sharedNow();
    const gone = letGo();
    const { at } = await this.#peer.told<{ at: number }>();
    await gone;
    return at - begun;
  }

  async #hold(key: string): Promise<() => Promise<unknown>> {
    const grant = await this.#sync.acquire(key);
    return () => grant.release();
  }

  async #put(key: string): Promise<() => Promise<unknown>> {
    if (this.#store === 'etcd') {
      await this.#etcd.put(key).value('');
      return () => this.#etcd.delete().key(key).exec();
    }
    await this.#consul.kv.set(key, '');
    return () => this.#consul.kv.del(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
    await this.#sync.stop();
    this.#etcd.close();
  }
}

async function measure(servers: Servers, store: Store, { blocks, onProgress }: Settings) {
  await using handOffs = new HandOffs(servers, store);
  const times: Record<Mode, number[]> = { bare: [], 'bare again': [], holdfast: [] };
  const modes = Object.keys(times) as Mode[];
  for (let round = 0; round < WARM_UP; round++) for (const mode of modes) await handOffs.once(mode);
  for (let round = 0; round < blocks * ROUNDS_A_BLOCK; round++) {
    for (const mode of modes.toSorted(() => Math.random() - 0.5)) times[mode].push(await handOffs.once(mode));
    onProgress(`${store}, round ${round + 1} of ${blocks * ROUNDS_A_BLOCK}`);
  }
  return times;
}

async function run(servers: Servers, settings: Settings): Promise<RowReport> {
  const lines: Line[] = [];
  const raw: Record<string, unknown> = {};
  for (const store of stores) {
    const times = await measure(servers, store, settings);
    raw[store] = times;
    for (const mode of Object.keys(times) as Mode[]) {
      const line = { what: `${mode}, ${store}`, figure: ms(median(times[mode])) };
      const ratio = ratioOf(times[mode], times.bare);
      if (mode === 'bare') lines.push(line);
      else if (mode === 'bare again') lines.push({ ...line, ratio: interval({ ratio }) });
      else lines.push({ ...line, ratio: interval({ ratio }), goal: `<= ${GOAL}`, met: ratio.median <= GOAL });
    }
  }
  return { lines, raw };
}

export const handOffRows: readonly Row[] = [
  {
    name: 'hand-off',
    what: 'between two processes, beside a bare delete and watch (etcd) or blocking query (Consul)',
    run,
  },
];
