import { BareCycles, etcd3Peer, newManager, redlockPeer, type Store, uniqueKey } from '../clients.ts';
import { paired, type Variant } from '../paired.ts';
import { interval, type Line, ms, type Row, type RowReport, type Servers, type Settings } from '../row.ts';

const BATCH = 20;

function repeated(name: string, cycle: (key: string) => Promise<void>): Variant {
  const key = uniqueKey('cycle');
  return {
    name,
    async run() {
      for (let done = 0; done < BATCH; done++) await cycle(key);
      return BATCH;
    },
  };
}

async function run(servers: Servers, store: Store, { blocks, onProgress }: Settings): Promise<RowReport> {
  await using floor = await BareCycles.open(servers, store);
  await using again = await BareCycles.open(servers, store);
  await using sync = newManager(servers, store);
  await using etcd3 = store === 'etcd' ? etcd3Peer(servers) : undefined;
  await using redlock = redlockPeer(servers);
  const variants = [
    repeated('floor', (key) => floor.cycle(key)),
    repeated('floor again', (key) => again.cycle(key)),
    repeated('holdfast', async (key) => (await sync.acquire(key)).release()),
    ...(etcd3 ? [repeated(etcd3.name, (key) => etcd3.cycle(key))] : []),
    ...(redlock ? [repeated(redlock.name, (key) => redlock.cycle(key))] : []),
  ];
  const figures = await paired(variants, {
    blocks,
    blockMs: 100,
    onBlock: (block) => onProgress(`block ${block} of ${blocks}`),
  });
  const holdfast = figures.find(({ name }) => name === 'holdfast');
  const lines = figures.map((figure): Line => {
    const line = { what: `${figure.name}, ${store}`, figure: ms(figure.ms) };
    if (figure.name === 'floor') return line;
    const ratio = `${interval(figure)} of the floor`;
    if (figure.name === 'holdfast')
      return { ...line, ratio, goal: '<= 1.10', met: figure.ratio.median <= 1.1 };
    if (figure.name !== etcd3?.name) return { ...line, ratio };
    const faster = figure.ratio.median / (holdfast?.ratio.median ?? Number.NaN);
    return {
      ...line,
      ratio: `${ratio}; holdfast is ${faster.toFixed(1)} times as fast`,
      goal: '>= 1.8',
      met: faster >= 1.8,
    };
  });
  return { lines, raw: figures };
}

export const cycleRows: readonly Row[] = [
  {
    name: 'cycle-etcd',
    what: 'an uncontended acquire and release beside two bare transactions of the same client',
    run: (servers, settings) => run(servers, 'etcd', settings),
  },
  {
    name: 'cycle-consul',
    what: 'the same on Consul',
    run: (servers, settings) => run(servers, 'Consul', settings),
  },
];
