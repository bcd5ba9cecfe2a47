// Run as a process with `--expose-gc`: holds many locks on one session, and is cut off in the end.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Backend, Grant } from 'holdfast';
import { TcpProxy } from 'holdfast/testing';
import { ClientSockets } from '../real/client-sockets.ts';
import { postgresUrl } from '../servers/postgres.ts';
import { withVerbs } from '../with-verbs.ts';
import type { ManyLocksReport } from './many-locks.ts';
import { inParallel } from './parallel.ts';

const [built = '', store = '', address = '', stem = '', count = '', kind = ''] = process.argv.slice(2);
// The library as it is shipped: what runs TypeScript directly gives every function a name of its own, which takes memory.
const load = (file: string) => import(pathToFileURL(join(built, file)).href);
const { SyncManager } = (await load('index.js')) as typeof import('holdfast');
/** Milliseconds; a busy machine must not lose the session while so many locks are being taken. */
const TTL = 20_000;
const MARGIN = TTL / 10;
const PERIOD = 4_000;
const PERIODS = 2;
const WARM = 1_000;

const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));
const never = new Promise<never>(() => {});

const proxy = store === 'memory' ? undefined : await TcpProxy.open(address);
using connections = proxy && new ClientSockets(proxy.address);
const inner = await connect(proxy?.address ?? '');
/** Instants at which renewals were sent. */
const sent: number[] = [];
let [lastRenewed, opened, isCut] = [0, 0, false];
// Nothing but the renewals is wrapped, or the wrapping would be measured too.
const backend: Backend = withVerbs(inner, {
  ...(inner.watch && { watch: inner.watch.bind(inner) }),
  openSession: (options, signal) => {
    opened++;
    return inner.openSession(options, signal);
  },
  renewSession: async (id, signal) => {
    const at = performance.now();
    sent.push(at);
    if (isCut && proxy === undefined) return never;
    const result = await inner.renewSession(id, signal);
    if (result === 'renewed') lastRenewed = at;
    return result;
  },
});
const sync = new SyncManager({
  name: 'many',
  backend,
  session: { ttl: TTL, renewInterval: PERIOD, margin: MARGIN, lockDelay: 0 },
});
const take = (name: string, number: number): Promise<Grant> =>
  kind === 'scoped'
    ? sync.acquire(`${stem}/${name}/${number}`)
    : sync.lock(`${stem}/${name}/${number}`).lock();

// Code that runs for the first time, and connections, are no cost of a lock.
const warm = await inParallel(WARM, 200, (number) => take('warm', number));
await pause(500);
await Promise.all(warm.map((grant) => grant.release()));
const before = await usedHeap();
const grants = await inParallel(Number(count), 200, (number) => take('held', number));
// Until all of them are watched.
await pause(1_500);
const heapPerLock = ((await usedHeap()) - before) / grants.length;

const renewalsBefore = sent.length;
const begun = performance.now();
await pause(PERIODS * PERIOD);
const measuredFor = performance.now() - begun;
const renewals = sent.length - renewalsBefore;

const sessions = opened;
// The package pg makes its sockets in a way that is not told of in the process.
const sockets = (store === 'postgres' ? proxy?.mostOpen : connections?.most) ?? 0;
const heldBefore = grants.filter(({ held }) => held).length;
let lastLoss = 0;
const told = grants.map(({ signal }) => {
  return new Promise<void>((resolve) => {
    const tell = (): void => {
      lastLoss = performance.now();
      resolve();
    };
    if (signal.aborted) tell();
    else signal.addEventListener('abort', tell);
  });
});
isCut = true;
proxy?.set({ cut: 'both' });
const deadline = () => lastRenewed + TTL - MARGIN;
/** Milliseconds before the deadline from which on nothing else runs in this process, timers included. */
const STALL = 20;
// A renewal may have been under way.
while (performance.now() < deadline() - STALL) await pause(deadline() - STALL - performance.now());
while (performance.now() < deadline());
// The first look, before anybody has been told.
const heldAtDeadline = grants.filter(({ held }) => held).length;
await Promise.all(told);
const report: ManyLocksReport = {
  held: heldBefore,
  heapPerLock,
  renewals,
  periods: measuredFor / PERIOD,
  sessions,
  sockets,
  heldAtDeadline,
  lateMs: lastLoss - deadline(),
};
await sync.stop({ timeout: 500 });
await proxy?.[Symbol.asyncDispose]();
console.log(JSON.stringify(report));

async function connect(to: string): Promise<Backend> {
  if (store === 'memory')
    return ((await load('backends/memory/index.js')) as typeof import('holdfast/memory')).memory();
  if (store === 'etcd') {
    return ((await load('backends/etcd/index.js')) as typeof import('holdfast/etcd')).etcd({ hosts: to });
  }
  if (store === 'postgres') {
    const { postgres } = (await load('backends/postgres/index.js')) as typeof import('holdfast/postgres');
    return postgres({ connectionString: postgresUrl(to) });
  }
  const { consul } = (await load('backends/consul/index.js')) as typeof import('holdfast/consul');
  return consul({ addresses: [to], sessionTtlMin: 1_000 });
}

async function usedHeap(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 4; look++) {
    await pause(50);
    if (globalThis.gc === undefined) throw new Error('run with --expose-gc');
    globalThis.gc();
    least = Math.min(least, process.memoryUsage().heapUsed);
  }
  return least;
}
