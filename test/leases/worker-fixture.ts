// Run as a process: some workers of a pool, each with a manager of its own. Says on its standard output what they begin and what
// they have noted, a line of JSON each, until it is told to end by SIGTERM, or is killed.

import { setTimeout as sleep } from 'node:timers/promises';
import { SyncManager } from 'holdfast';
import { type Lease, LeasePool } from 'holdfast/leases';
import { connectTo, type Store } from '../real/stores.ts';

/** One line. `began`: work on an item, from a position. `noted`: a checkpoint, which the store has confirmed. */
export interface Line {
  readonly what: 'began' | 'noted' | 'ready';
  readonly id: string;
  readonly at: number;
  readonly token: string;
}

const [store, address = '', pool = '', ttl, lockDelay, workers] = process.argv.slice(2);

function say(line: Line): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function work(lease: Lease<null, number>): Promise<void> {
  const token = String(lease.token);
  let at = lease.position ?? 0;
  say({ what: 'began', id: lease.id, at, token });
  while (!lease.yielding.aborted) {
    await lease.checkpoint(at + 1);
    at += 1;
    say({ what: 'noted', id: lease.id, at, token });
    await sleep(500 + Math.random() * 1_000, undefined, { signal: lease.yielding }).catch(() => undefined);
  }
}

const managers = Array.from({ length: Number(workers) }, () => {
  const sync = new SyncManager({
    name: 'worker',
    backend: connectTo(store as Store, address),
    session: { ttl: Number(ttl), lockDelay: Number(lockDelay) },
    // It is killed while it works, and what is lost then is no news.
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  });
  new LeasePool<null, number>(sync, { prefix: pool }).balance({}, work);
  return sync;
});

process.once('SIGTERM', () => {
  void Promise.all(managers.map((sync) => sync.stop())).then(() => process.exit());
});
say({ what: 'ready', id: '', at: 0, token: '' });
