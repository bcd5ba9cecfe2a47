import { newManager, type Store } from '../clients.ts';
import { type Figure, paired } from '../paired.ts';
import {
  type Line,
  perSecond,
  type Row,
  type RowReport,
  type Servers,
  type Settings,
  speedup,
} from '../row.ts';
import { bareOf, MOST_BARE, together } from './keys.ts';

const LEVELS = [20_000, 50_000];
const CHUNK = 500;
const GOAL = 2;

async function run(servers: Servers, store: Store, { blocks, onProgress }: Settings): Promise<RowReport> {
  const lines: Line[] = [];
  const raw: { keys: number; figures: Figure[] }[] = [];
  await using bare = await bareOf(servers, store);
  for (const keys of LEVELS) {
    await using sync = newManager(servers, store);
    const cycle = async (key: string): Promise<void> => (await sync.acquire(key)).release();
    const figures = await paired(
      [
        together(`${CHUNK} at a time`, keys, cycle, CHUNK),
        together('all at once', keys, cycle),
        together('bare transactions', keys, bare.cycle, MOST_BARE),
      ],
      {
        blocks: Math.min(3, blocks),
        blockMs: 0,
        onBlock: (block) => onProgress(`${keys} at once, block ${block}`),
      },
    );
    raw.push({ keys, figures });
    lines.push(...figures.map((figure) => lineOf(figure, keys, store)));
  }
  return { lines, raw };
}

function lineOf(figure: Figure, keys: number, store: Store): Line {
  const line = { what: `burst of ${keys}, ${figure.name}, ${store}`, figure: perSecond(figure) };
  if (figure.name !== 'all at once') return { ...line, ratio: speedup(figure) };
  const { median } = figure.ratio;
  return { ...line, ratio: `${median.toFixed(2)} times as long`, goal: `<= ${GOAL}`, met: median <= GOAL };
}

export const burstRows: readonly Row[] = (['etcd', 'Consul'] as const).map((store) => ({
  name: `bursts-${store.toLowerCase()}`,
  what: `acquires and releases at once on ${store}, beside the same 500 at a time and bare transactions`,
  run: (servers, settings) => run(servers, store, settings),
}));
