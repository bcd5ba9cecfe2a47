import { etcd3Peer, newManager, redlockPeer, type Store, stores, uniqueKey } from '../clients.ts';
import { type Figure, paired, type Variant } from '../paired.ts';
import { type Line, perSecond, type Row, type RowReport, type Servers, type Settings } from '../row.ts';

const LEVELS = [1, 10, 100, 1_000];
/** Of one key. Peers that try again and again are not asked to do it with more. */
const MOST_FOR_PEERS = 100;
const BLOCK = 250;

/** Callers that take and give back one lock, each as often as it can, until the block is over. */
function crowd(name: string, callers: number, cycle: (key: string) => Promise<void>): Variant {
  return {
    name,
    async run() {
      const key = uniqueKey('callers');
      const end = performance.now() + BLOCK;
      let done = 0;
      const call = async (): Promise<void> => {
        while (performance.now() < end) {
          await cycle(key);
          done++;
        }
      };
      await Promise.all(Array.from({ length: callers }, call));
      return done;
    },
  };
}

async function run(servers: Servers, settings: Settings): Promise<RowReport> {
  const lines: Line[] = [];
  const raw: { callers: number; figures: Figure[] }[] = [];
  for (const callers of LEVELS) {
    const figures = await measure(servers, settings, callers);
    raw.push({ callers, figures });
    for (const figure of figures) lines.push(lineOf(figure, figures, callers));
  }
  return { lines, raw };
}

async function measure(servers: Servers, { blocks, onProgress }: Settings, callers: number) {
  const managers = new Map(stores.map((store) => [store, newManager(servers, store)]));
  await using etcd3 = etcd3Peer(servers);
  await using redlock = redlockPeer(servers);
  const peers = callers > MOST_FOR_PEERS ? [] : [redlock, etcd3];
  const ours = (store: Store): Variant =>
    crowd(`holdfast, ${store}`, callers, async (key) => {
      await managers.get(store)?.withLock(key, () => {});
    });
  const variants = [
    ...stores.map(ours),
    ...peers.flatMap((peer) => (peer ? [crowd(peer.name, callers, (key) => peer.cycle(key))] : [])),
  ];
  const figures = await paired(variants, {
    blocks: Math.max(3, Math.round(blocks / 3)),
    blockMs: 0,
    onBlock: (block) => onProgress(`${callers} callers, block ${block}`),
  });
  await Promise.all([...managers.values()].map((sync) => sync.stop()));
  return figures;
}

const GOALS: Readonly<Record<string, number>> = { redlock: 10, 'npm etcd3 lock()': 100 };

function lineOf(figure: Figure, figures: readonly Figure[], callers: number): Line {
  const what = `${callers} callers, ${figure.name}`;
  const line = { what, figure: perSecond(figure) };
  if (figure === figures[0]) return line;
  const { median, low, high } = figure.ratio;
  const ratio = `holdfast on etcd is ${median.toFixed(1)} times as fast (${low.toFixed(1)} to ${high.toFixed(1)})`;
  const goal = callers === 100 ? GOALS[figure.name] : undefined;
  return goal === undefined
    ? { ...line, ratio }
    : { ...line, ratio, goal: `>= ${goal}`, met: median >= goal };
}

export const callerRows: readonly Row[] = [
  { name: 'callers', what: 'one key, 1 to 1,000 callers in one process', run },
];
