// Run as a process: a replica whose wall clock is off, and which strikes every tick of that clock.
import { setTimeout as sleep } from 'node:timers/promises';
import { SyncManager, systemClock } from 'holdfast';
import { QUIET } from '../quiet.ts';
import { connectTo, type Store } from './stores.ts';

export interface Replica {
  readonly store: Store;
  readonly address: string;
  readonly key: string;
  /** Milliseconds by which its wall clock is ahead. */
  readonly lead: number;
  readonly period: number;
  readonly atLeast: number;
}

/** Of a run, in milliseconds: long enough to be ended in the midst of it. */
const RUN = 400;

const { store, address, key, lead, period, atLeast } = JSON.parse(process.argv[2] ?? '') as Replica;
const wall = (): number => Date.now() + lead;
const sync = new SyncManager({
  name: 'replica',
  backend: connectTo(store, address),
  clock: { ...systemClock, wall },
  session: { ttl: 2_000, lockDelay: 0 },
  logger: QUIET,
});
await sync.connect();
console.log('ready');

for (let tick = Math.ceil(wall() / period); ; tick++) {
  await sleep(Math.max(0, tick * period - wall()));
  void sync
    .runOnce(key, { atLeast }, async () => {
      console.log(`runs ${tick}`);
      await sleep(RUN);
    })
    .then(({ ran }) => console.log(`${ran ? 'ran' : 'skipped'} ${tick}`))
    // Of a server that is not in time; the tick may then be run by nobody.
    .catch((error: unknown) => console.log(`failed ${tick}: ${error}`));
}
