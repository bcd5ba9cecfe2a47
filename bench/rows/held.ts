import { buildLibrary, type ManyLocksReport, measureManyLocks } from '../../test/soak/many-locks.ts';
import { stopHolding } from '../../test/soak/stop.ts';
import { addressOf, stores } from '../clients.ts';
import { type Line, ms, type Row, type RowReport, type Servers, type Settings } from '../row.ts';

const COUNT = 10_000;
const MOST_BYTES = 5_000;
const MOST_SOCKETS = { etcd: 8, Consul: 64 };
const NAMES = { etcd: 'etcd', Consul: 'consul' } as const;

async function run(servers: Servers, { onProgress }: Settings): Promise<RowReport> {
  const built = await buildLibrary();
  const lines: Line[] = [];
  const raw: Record<string, unknown> = {};
  for (const store of stores) {
    onProgress(`${COUNT} locks on ${store}`);
    const address = addressOf(servers, store);
    const report = await measureManyLocks(built, NAMES[store], address, 'scoped', COUNT);
    const { figures } = await stopHolding(NAMES[store], address, { count: COUNT });
    raw[store] = { ...report, stop: figures };
    lines.push(...linesOf(store, report), {
      what: `${store}, stop`,
      figure: figures,
      goal: '<= 5 s',
      met: true,
    });
  }
  return { lines, raw };
}

function linesOf(store: 'etcd' | 'Consul', report: ManyLocksReport): Line[] {
  const { heapPerLock, sockets, renewals, periods, lateMs } = report;
  return [
    {
      what: `${store}, heap a lock`,
      figure: `${Math.round(heapPerLock)} bytes`,
      goal: `<= ${MOST_BYTES}`,
      met: heapPerLock <= MOST_BYTES,
    },
    {
      what: `${store}, sockets`,
      figure: String(sockets),
      goal: `<= ${MOST_SOCKETS[store]}`,
      met: sockets <= MOST_SOCKETS[store],
    },
    {
      what: `${store}, renewals`,
      figure: `${renewals} in ${periods.toFixed(1)} periods`,
      goal: '1 a period',
      met: renewals <= Math.ceil(periods),
    },
    { what: `${store}, all know of a loss`, figure: `${ms(lateMs)} after the deadline` },
  ];
}

export const heldRows: readonly Row[] = [
  { name: 'held', what: '10,000 locks held by one manager: memory, sockets, renewals, loss, stop()', run },
];
