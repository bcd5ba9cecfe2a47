// Run as a process: asks for many locks at once while it holds some, and tells what became of them.
import { type Backend, type Grant, SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { postgres } from 'holdfast/postgres';
import { TcpProxy } from 'holdfast/testing';
import { postgresUrl } from '../servers/postgres.ts';
import type { BurstReport } from './burst.ts';
import { inParallel } from './parallel.ts';

const [store = '', address = '', stem = '', countText = '', heldText = '', how = ''] = process.argv.slice(2);
const [count, held] = [Number(countText), Number(heldText)];
/** Of the same without a burst. */
const WIDTH = 500;
/** Milliseconds for which the server does not answer. */
const OUTAGE = 3_000;

const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

/** Everything else as it is by default. */
function connect(to: string): Backend {
  const [host = '', port = ''] = to.split(':');
  if (store === 'etcd') return etcd({ hosts: to });
  if (store === 'postgres') return postgres({ connectionString: postgresUrl(to) });
  return consul({ host, port: Number(port) });
}

const proxy = how === 'outage' ? await TcpProxy.open(address) : undefined;
const backend = connect(proxy?.address ?? address);
const sync = new SyncManager({ name: 'burst', backend });
let [lost, troubles, sessionsEnded] = [0, 0, 0];
let trouble = '';
sync.events$.subscribe((event) => {
  if (event.type === 'lock-lost') lost++;
  if (event.type === 'session' && event.state.name === 'ended' && event.state.reason !== 'stopped')
    sessionsEnded++;
  if (event.type !== 'trouble') return;
  troubles++;
  trouble ||= String(event.error);
});

const before = await inParallel(held, WIDTH, (number) => sync.acquire(`${stem}/held/${number}`));
/** Milliseconds until all were granted. */
async function ask(name: string, width: number): Promise<number> {
  const begun = performance.now();
  const grants: Grant[] = [];
  for (let from = 0; from < count; from += width) {
    const some = Array.from({ length: Math.min(width, count - from) }, (_, n) =>
      sync.acquire(`${stem}/${name}/${from + n}`),
    );
    grants.push(...(await Promise.all(some)));
  }
  const took = performance.now() - begun;
  // Until all of them are watched.
  await pause(1_000);
  await Promise.all(grants.map((grant) => grant.release()));
  return took;
}

let [chunksMs, burstMs] = [0, 0];
if (how === 'paired') chunksMs = await ask('chunks', WIDTH);
if (proxy === undefined) burstMs = await ask('burst', count);
else {
  const asked = ask('burst', count);
  // In the midst of it.
  await pause(100);
  proxy.set({ cut: 'both' });
  await pause(OUTAGE);
  proxy.set({ cut: 'none' });
  burstMs = await asked;
}
const report: BurstReport = {
  stillHeld: before.filter((grant) => grant.held).length,
  lost,
  troubles,
  trouble,
  sessionsEnded,
  chunksMs,
  burstMs,
};
await Promise.all(before.map((grant) => grant.release()));
await sync.stop();
await proxy?.[Symbol.asyncDispose]();
console.log(JSON.stringify(report));
