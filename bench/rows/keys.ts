import { Agent } from 'node:http';
import Consul from 'consul';
import { Etcd3 } from 'etcd3';
import { inParallel } from '../../test/soak/parallel.ts';
import { LASTING_TTL, newManager, type Store, TTL, uniqueKey } from '../clients.ts';
import { type Figure, paired, type Variant } from '../paired.ts';
import {
  type Line,
  perSecond,
  type Row,
  type RowReport,
  type Servers,
  type Settings,
  speedup,
} from '../row.ts';

const LEVELS = [64, 1_000, 10_000];
const GOALS: Readonly<Record<Store, number>> = { etcd: 8, Consul: 3 };
/** As many connections as holdfast may have. */
const MOST_SOCKETS = 64;

/** etcd refuses requests (`too many requests`) when 5,000 are decided and not yet carried out. */
export const MOST_BARE = 1_000;

type Cycle = (key: string) => Promise<unknown>;

/** So many keys, each taken and given back once, all at the same time or as many at a time as `width` says. */
export function together(name: string, keys: number, cycle: Cycle, width = keys): Variant {
  return {
    name,
    async run() {
      const stem = uniqueKey('keys');
      await inParallel(keys, width, (number) => cycle(`${stem}/${number}`));
      return keys;
    },
  };
}

export interface Bare extends AsyncDisposable {
  readonly cycle: Cycle;
}

/** Two transactions by npm `etcd3`, each a request of its own. */
async function bareEtcd({ etcd }: Servers): Promise<Bare> {
  const client = new Etcd3({ hosts: etcd.url });
  const lease = client.lease(TTL / 1_000);
  const id = await lease.grant();
  return {
    async cycle(key) {
      const name = `${key}/${id}`;
      const put = client.put(name).value('').lease(id);
      const taken = await client.if(name, 'Create', '==', 0).then(put).commit();
      if (!taken.succeeded) throw new Error('not taken');
      await client.if(name, 'Create', '!=', 0).then(client.delete().key(name)).commit();
    },
    async [Symbol.asyncDispose]() {
      await lease.revoke();
      client.close();
    },
  };
}

/** Two writes by npm `consul`, each a request of its own, over kept connections. */
async function bareConsul({ consul }: Servers): Promise<Bare> {
  const agent = new Agent({ keepAlive: true, maxSockets: MOST_SOCKETS });
  const client = new Consul({ host: consul.host, port: consul.port, agent });
  const { ID: session } = await client.session.create({ ttl: `${LASTING_TTL / 1_000}s`, lockdelay: '0s' });
  return {
    async cycle(key) {
      if (!(await client.kv.set({ key, value: '', acquire: session }))) throw new Error('not taken');
      await client.kv.del({ key });
    },
    async [Symbol.asyncDispose]() {
      await client.session.destroy(session);
      agent.destroy();
    },
  };
}

/** Of this store, without any library. */
export function bareOf(servers: Servers, store: Store): Promise<Bare> {
  return store === 'etcd' ? bareEtcd(servers) : bareConsul(servers);
}

async function run(servers: Servers, store: Store, { blocks, onProgress }: Settings): Promise<RowReport> {
  const lines: Line[] = [];
  const raw: { keys: number; figures: Figure[] }[] = [];
  await using bare = await bareOf(servers, store);
  for (const keys of LEVELS) {
    await using sync = newManager(servers, store);
    const variants = [
      together('bare transactions', keys, bare.cycle, MOST_BARE),
      together('bare transactions again', keys, bare.cycle, MOST_BARE),
      together('holdfast', keys, async (key) => (await sync.acquire(key)).release()),
    ];
    const most = keys >= 10_000 ? 4 : Math.max(4, Math.round(blocks / 2));
    const figures = await paired(variants, {
      blocks: Math.min(most, blocks),
      blockMs: 200,
      onBlock: (block) => onProgress(`${keys} keys, block ${block}`),
    });
    raw.push({ keys, figures });
    lines.push(...figures.map((figure) => lineOf(figure, keys, store)));
  }
  return { lines, raw };
}

function lineOf(figure: Figure, keys: number, store: Store): Line {
  const line = { what: `${keys} keys, ${figure.name}, ${store}`, figure: perSecond(figure) };
  if (figure.name === 'bare transactions') return line;
  const ratio = speedup(figure);
  if (figure.name !== 'holdfast' || keys !== 1_000) return { ...line, ratio };
  return { ...line, ratio, goal: `>= ${GOALS[store]}`, met: 1 / figure.ratio.median >= GOALS[store] };
}

export const keyRows: readonly Row[] = (['etcd', 'Consul'] as const).map((store) => ({
  name: `keys-${store.toLowerCase()}`,
  what: `different keys in parallel on ${store}, one manager, beside separate bare transactions`,
  run: (servers, settings) => run(servers, store, settings),
}));
