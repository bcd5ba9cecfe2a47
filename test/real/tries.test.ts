import { setTimeout as sleep } from 'node:timers/promises';
import type { SyncManager } from 'holdfast';
import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { expect, test } from 'vitest';
import { crowd } from '../crowd.ts';
import { tries } from '../scenarios/tries.ts';
import { Managers, until } from '../scenarios/world.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import type { ServerProcess } from '../servers/process.ts';
import { suspend } from './stopped.ts';

const stores = {
  etcd: [() => startEtcd(), (address: string) => etcd({ hosts: address })],
  Consul: [() => startConsul({ persistent: true }), (address: string) => consul({ addresses: [address] })],
} as const;

const OUTAGE = 20_000;
/** Those that are about one role, and leave a claim. */
const WAYS = Object.keys(tries).filter((way) => way !== 'tryAcquire()');

/** Of a job, in milliseconds. */
const JOB = 50;

/** Calls one way, and counts. */
class Caller {
  pending = 0;
  mostPending = 0;
  done = 0;
  atOnce = 0;
  #running = 0;
  readonly #way: string;
  readonly #sync: SyncManager;

  constructor(way: string, sync: SyncManager) {
    this.#way = way;
    this.#sync = sync;
  }

  /** As a cron job without overlap: not while one is running. */
  call(): void {
    if (this.#running > 0) return;
    let over = false;
    const answered = (): void => {
      if (!over) this.pending -= 1;
      over = true;
    };
    this.pending += 1;
    this.mostPending = Math.max(this.mostPending, this.pending);
    const job = async (): Promise<void> => {
      answered();
      this.#running += 1;
      this.atOnce = Math.max(this.atOnce, this.#running);
      await sleep(JOB);
      this.#running -= 1;
      this.done += 1;
    };
    tries[this.#way]?.(this.#sync, job).then(answered, answered);
  }
}

interface Server extends ServerProcess {
  readonly address: string;
  restart(): Promise<void>;
}

const outages: Record<
  string,
  { begin(server: Server): Promise<unknown>; end(server: Server): Promise<unknown> }
> = {
  'silent (SIGSTOP)': { begin: (server) => suspend(server), end: (server) => server.kill('SIGCONT') },
  'gone (SIGKILL)': { begin: (server) => server.kill(), end: (server) => server.restart() },
};

test.concurrent.each(
  Object.entries(stores).flatMap(([store, made]) =>
    Object.entries(outages).map(([kind, outage]) => [store, kind, made, outage] as const),
  ),
)(
  'B1: %s, %s for 20 s: what tries ten times a second piles up nothing, and one job runs when it is back',
  async (store, kind, [start, connect], { begin, end }) => {
    await using server: Server = await start();
    const world = { name: store, ttl: 5_000, lockDelay: 0, backend: () => connect(server.address) };
    await using managers = new Managers(world);
    const callers = WAYS.map((way) => new Caller(way, managers.make({ session: { ttl: 10_000 } })));
    const timer = setInterval(() => {
      for (const caller of callers) caller.call();
    }, 100);
    try {
      await until(() => callers.every(({ done }) => done > 3), 10_000);
      // Those of the start share the first attempt.
      for (const caller of callers) caller.mostPending = caller.atOnce = 0;
      await begin(server);
      await sleep(OUTAGE);
      const during = callers.map(({ mostPending, atOnce }) => ({ mostPending, atOnce }));
      const before = callers.map(({ done }) => done);
      await end(server);
      await until(() => callers.every(({ done }, n) => done > (before[n] ?? 0) + 3), 60_000);
      const after = callers.map(({ mostPending, atOnce }) => ({ mostPending, atOnce }));
      console.info(`B1 ${store}, ${kind}: ${JSON.stringify({ during, after })}`);
      for (const { mostPending, atOnce } of [...during, ...after]) {
        // As many as are made while one attempt is under way.
        expect(mostPending).toBeLessThanOrEqual(5 * crowd());
        expect(atOnce).toBe(1);
      }
    } finally {
      clearInterval(timer);
    }
  },
  120_000,
);
