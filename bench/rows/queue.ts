import { median } from 'simple-statistics';
import { newManager, uniqueKey } from '../clients.ts';
import { ratioOf } from '../paired.ts';
import { interval, ms, type Row, type RowReport, type Servers, type Settings } from '../row.ts';

const [FEW, MANY] = [100, 1_000];
const MOST_ROUNDS = 5;
/** How many connect at a time. */
const WAVE = 50;
const GOAL = 11;

/** Milliseconds from the release of a lock until so many contenders, each of its own manager, have had it once. */
async function serve(
  servers: Servers,
  managers: readonly ReturnType<typeof newManager>[],
  count: number,
): Promise<number> {
  const transactions = () => servers.etcd.metric('grpc_server_handled_total', { grpc_method: 'Txn' });
  await using holding = newManager(servers, 'etcd');
  const key = uniqueKey('queue');
  const holder = await holding.acquire(key);
  const before = await transactions();
  const turns = managers.slice(0, count).map(async (sync) => (await sync.acquire(key)).release());
  // Each enters the queue by one, and looks by another once it watches.
  while ((await transactions()) < before + 2 * count) await new Promise((resolve) => setTimeout(resolve, 20));
  const begun = performance.now();
  await holder.release();
  await Promise.all(turns);
  return performance.now() - begun;
}

async function run(servers: Servers, { blocks, onProgress }: Settings): Promise<RowReport> {
  const managers = Array.from({ length: MANY }, () => newManager(servers, 'etcd'));
  for (let first = 0; first < MANY; first += WAVE) {
    const wave = managers.slice(first, first + WAVE);
    await Promise.all(wave.map(async (sync) => (await sync.acquire(uniqueKey('warm'))).release()));
  }
  await serve(servers, managers, MANY);
  const few: number[] = [];
  const many: number[] = [];
  for (let round = 0; round < Math.min(blocks, MOST_ROUNDS); round++) {
    few.push(await serve(servers, managers, FEW));
    many.push(await serve(servers, managers, MANY));
    onProgress(`round ${round + 1}`);
  }
  await Promise.all(managers.map((sync) => sync.stop()));
  const ratio = ratioOf(many, few);
  const lines = [
    { what: `${FEW} contenders served, etcd`, figure: ms(median(few)) },
    {
      what: `${MANY} contenders served, etcd`,
      figure: ms(median(many)),
      ratio: interval({ ratio }),
      goal: `<= ${GOAL}`,
      met: ratio.median <= GOAL,
    },
  ];
  return { lines, raw: { few, many, ratio } };
}

export const queueRows: readonly Row[] = [
  {
    name: 'queue',
    what: 'the time in which 100 and 1,000 contenders, each of its own manager, are served',
    run,
  },
];
