import { median } from 'simple-statistics';
import { type Counts, counted } from '../../test/real/counting.ts';
import { addressOf, connectTo, newManager, type Store, stores, uniqueKey } from '../clients.ts';
import { type Line, ms, type Row, type RowReport, type Servers, type Settings } from '../row.ts';

const LEVELS = [1, 2, 10, 50, 200];
/** Milliseconds. */
const BLOCK = 1_000;
const MOST_BLOCKS = 5;
const GOAL_WRITES = 3;

interface Measured {
  readonly store: Store;
  readonly contenders: number;
  /** Milliseconds for each hand-off. */
  readonly handOff: number;
  readonly writes: number;
  readonly requests: number;
  readonly wakes: number;
}

/** Managers, each with a client of its own and one caller, that take and give back one lock as often as they can. */
async function measure(
  servers: Servers,
  store: Store,
  contenders: number,
  blocks: number,
): Promise<Measured> {
  const all = Array.from({ length: contenders }, () => {
    const { backend, counts } = counted(connectTo(store, addressOf(servers, store)));
    return { counts, sync: newManager(servers, store, { backend }) };
  });
  const writesOf = (): Promise<number> =>
    store === 'etcd' ? servers.etcd.proposalsCommitted() : servers.consul.raftIndex();
  const key = uniqueKey('contenders');
  await Promise.all(all.map(async ({ sync }) => (await sync.acquire(`${key}/warm`)).release()));
  const costs: number[] = [];
  let [handOffs, writes] = [0, 0];
  const before = sum(all.map(({ counts }) => ({ ...counts })));
  for (let block = 0; block < blocks; block++) {
    const [begun, writesBefore] = [performance.now(), await writesOf()];
    let turns = 0;
    const call = async ({ sync }: (typeof all)[number]): Promise<void> => {
      while (performance.now() - begun < BLOCK) {
        await (await sync.acquire(key)).release();
        turns++;
      }
    };
    await Promise.all(all.map(call));
    costs.push((performance.now() - begun) / turns);
    writes += (await writesOf()) - writesBefore;
    handOffs += turns;
  }
  const after = sum(all.map(({ counts }) => counts));
  await Promise.all(all.map(({ sync }) => sync.stop()));
  return {
    store,
    contenders,
    handOff: median(costs),
    writes: writes / handOffs,
    requests: (after.commits + after.queries - before.commits - before.queries) / handOffs,
    wakes: (after.wakes - before.wakes) / handOffs,
  };
}

function sum(counts: readonly Counts[]): Counts {
  const add = (name: keyof Counts): number => counts.reduce((total, each) => total + each[name], 0);
  return { commits: add('commits'), queries: add('queries'), wakes: add('wakes') };
}

async function run(servers: Servers, { blocks, onProgress }: Settings): Promise<RowReport> {
  const raw: Measured[] = [];
  for (const store of stores) {
    for (const contenders of LEVELS) {
      onProgress(`${contenders} contenders on ${store}`);
      raw.push(await measure(servers, store, contenders, Math.min(blocks, MOST_BLOCKS)));
    }
  }
  return { lines: raw.map(lineOf), raw };
}

function lineOf({ store, contenders, handOff, writes, requests, wakes }: Measured): Line {
  const line = {
    what: `${contenders} contenders, ${store}`,
    figure: `${ms(handOff)} a turn; ${writes.toFixed(2)} writes, ${requests.toFixed(1)} requests, ${wakes.toFixed(1)} wakes`,
  };
  // The server's own entries may add one in a block.
  return store === 'etcd'
    ? { ...line, goal: `<= ${GOAL_WRITES} writes`, met: writes <= GOAL_WRITES + 0.05 }
    : line;
}

export const contenderRows: readonly Row[] = [
  {
    name: 'contenders',
    what: 'one key, 1 to 200 managers that all want it: time, writes, requests and wakes',
    run,
  },
];
