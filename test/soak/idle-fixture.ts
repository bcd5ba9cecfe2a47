// Run as a process: holds many locks, or items of a pool, does nothing for a while, and tells what that cost.
import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import { type Backend, SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { type Lease, LeasePool } from 'holdfast/leases';
import { postgres } from 'holdfast/postgres';
import { TcpProxy } from 'holdfast/testing';
import { Client } from 'pg';
import { httpRequest } from '../servers/http.ts';
import { parseMetrics } from '../servers/metrics.ts';
import { postgresUrl } from '../servers/postgres.ts';
import type { IdleReport } from './idle.ts';
import { inParallel } from './parallel.ts';

const [store = '', address = '', stem = '', count = '', ms = '', kind = ''] = process.argv.slice(2);
const [host = '', port = ''] = address.split(':');
/** Milliseconds from one look at the connections to the next. */
const LOOK = 500;

const pause = (time: number) => new Promise<void>((resolve) => void setTimeout(resolve, time));

let httpRequests = 0;
subscribe('http.client.request.start', (message) => {
  const { path } = (message as { request: ClientRequest }).request;
  if (!path.includes('/session/renew/') && !path.includes('/metrics')) httpRequests++;
});

/** Each statement is a transaction. */
async function transactions(): Promise<number> {
  const client = new Client({ connectionString: postgresUrl(address) });
  await client.connect();
  const text = 'SELECT sum(xact_commit + xact_rollback)::int AS n FROM pg_stat_database';
  const { rows } = await client.query<{ n: number }>(text);
  await client.end();
  return rows[0]?.n ?? 0;
}

/** Those that reached the server, renewals left out; on Postgres with them, and with the server's own. */
async function requests(): Promise<number> {
  if (store === 'postgres') return transactions();
  if (store !== 'etcd') return httpRequests;
  const samples = parseMetrics((await httpRequest(address, '/metrics')).body);
  return samples
    .filter(({ name, labels }) => {
      // Of streams each message counts.
      const isStream = labels.grpc_type === 'bidi_stream';
      const counter = isStream ? 'grpc_server_msg_received_total' : 'grpc_server_started_total';
      return name === counter && labels.grpc_method !== 'LeaseKeepAlive';
    })
    .reduce((sum, { value }) => sum + value, 0);
}

/** Everything as it is by default. */
function connect(to: string): Backend {
  if (store === 'etcd') return etcd({ hosts: to });
  if (store === 'postgres') return postgres({ connectionString: postgresUrl(to) });
  return consul({ host, port: Number(port) });
}

/** All items of a pool, held by one worker. */
async function leases(): Promise<Lease<null, null>[]> {
  const pool = new LeasePool<null, null>(sync, { prefix: stem, limit: Number(count) });
  const ids = Array.from({ length: Number(count) }, (_, n) => String(n));
  await pool.addAll(ids.map((id) => ({ id, attributes: null })));
  const leased: Lease<null, null>[] = [];
  pool.balance({}, (lease) => {
    leased.push(lease);
    return new Promise<void>((resolve) => {
      lease.yielding.addEventListener('abort', () => resolve(), { once: true });
    });
  });
  while (leased.length < ids.length) await pause(100);
  return leased;
}

// The package pg makes its sockets in a way that is not told of in the process.
const proxy = store === 'postgres' ? await TcpProxy.open(address) : undefined;
const backend = connect(proxy?.address ?? address);
const sync = new SyncManager({ name: 'idle', backend });
let lost = 0;
sync.events$.subscribe((event) => {
  if (event.type === 'lock-lost') lost++;
});
const held =
  kind === 'leases'
    ? await leases()
    : await inParallel(Number(count), 500, (number) => sync.acquire(`${stem}/${number}`));
// Until all of them are watched, and have been looked at for the first time.
await pause(12_000);
const [cpu, begun, asked] = [process.cpuUsage(), performance.now(), await requests()];
let connections = 0;
while (performance.now() - begun < Number(ms)) {
  connections = Math.max(connections, proxy?.open ?? 0);
  await pause(LOOK);
}
const took = performance.now() - begun;
const { user, system } = process.cpuUsage(cpu);
const report: IdleReport = {
  held: held.filter((each) => each.held).length,
  lost,
  requestsASecond: ((await requests()) - asked) / (took / 1_000),
  coreShare: (user + system) / 1_000 / took,
  connections,
};
await Promise.all(held.map((each) => each.release()));
await sync.stop();
await proxy?.[Symbol.asyncDispose]();
console.log(JSON.stringify(report));
