// Run as a process: holds many locks, does nothing for a while, and tells what that cost.
import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import { SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { httpRequest } from '../servers/http.ts';
import { parseMetrics } from '../servers/metrics.ts';
import type { IdleReport } from './idle.ts';
import { inParallel } from './parallel.ts';

const [store = '', address = '', stem = '', count = '', ms = ''] = process.argv.slice(2);
const [host = '', port = ''] = address.split(':');
const pause = (time: number) => new Promise<void>((resolve) => void setTimeout(resolve, time));

let httpRequests = 0;
subscribe('http.client.request.start', (message) => {
  const { path } = (message as { request: ClientRequest }).request;
  if (!path.includes('/session/renew/') && !path.includes('/metrics')) httpRequests++;
});

/** Those that reached the server, renewals left out. */
async function requests(): Promise<number> {
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

const backend = store === 'etcd' ? etcd({ hosts: address }) : consul({ host, port: Number(port) });
const sync = new SyncManager({ name: 'idle', backend });
let lost = 0;
sync.events$.subscribe((event) => {
  if (event.type === 'lock-lost') lost++;
});
const grants = await inParallel(Number(count), 500, (number) => sync.acquire(`${stem}/${number}`));
// Until all of them are watched, and have been looked at for the first time.
await pause(12_000);
const [cpu, begun, asked] = [process.cpuUsage(), performance.now(), await requests()];
await pause(Number(ms));
const took = performance.now() - begun;
const { user, system } = process.cpuUsage(cpu);
const report: IdleReport = {
  held: grants.filter((grant) => grant.held).length,
  lost,
  requestsASecond: ((await requests()) - asked) / (took / 1_000),
  coreShare: (user + system) / 1_000 / took,
};
await Promise.all(grants.map((grant) => grant.release()));
await sync.stop();
console.log(JSON.stringify(report));
