import { type Backend, type JsonValue, SyncManager } from 'holdfast';
import { type Fleet, LeasePool } from 'holdfast/leases';
import { median } from 'simple-statistics';
import { aborted, until } from '../../test/scenarios/world.ts';
import { addressOf, connectTo, stores, TTL, uniqueKey } from '../clients.ts';
import { ratioOf } from '../paired.ts';
import { interval, type Line, ms, type Row, type RowReport, type Servers, type Settings } from '../row.ts';

const ITEMS = 1_000;
const WAITERS = 100;
const MOST_ROUNDS = 10;
/** Milliseconds, and items. */
const GOALS = { first: 500, even: 1_000, moved: ITEMS / 4 };

/** Managers and pools of one name, each with a connection of its own, as processes have. */
class Crew implements AsyncDisposable {
  readonly #open: () => Backend;
  readonly #name: string;
  readonly #managers: SyncManager[] = [];

  constructor(open: () => Backend, name: string) {
    this.#open = open;
    this.#name = name;
  }

  manager(): SyncManager {
    const session = { ttl: TTL, lockDelay: 0 };
    const sync = new SyncManager({ name: 'bench', backend: this.#open(), session });
    this.#managers.push(sync);
    return sync;
  }

  pool(): LeasePool<null> {
    return new LeasePool<null>(this.manager(), { prefix: this.#name });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#managers.map((sync) => sync.stop()));
  }
}

interface Round {
  /** As many plain locks at once, by one process. */
  readonly locks: number;
  readonly first: number;
  readonly even: number;
  readonly moved: number;
  readonly freed: number;
}

async function round(open: () => Backend): Promise<Round> {
  await using crew = new Crew(open, uniqueKey('pool'));
  const items = Array.from({ length: ITEMS }, (_, n) => ({ id: String(n), attributes: null }));
  const operator = crew.pool();
  await operator.addAll(items);
  const locks = await plainLocks(crew);
  const workers: Worker[] = [];
  /** Until all have their share, and nothing is free. */
  const join = async (): Promise<number> => {
    workers.push(new Worker(crew.pool()));
    const share = Math.floor(ITEMS / workers.length);
    const begun = performance.now();
    await until(
      () =>
        workers.every(({ ids }) => ids.length >= share) &&
        workers.reduce((sum, { ids }) => sum + ids.length, 0) === ITEMS,
    );
    return performance.now() - begun;
  };
  const first = await join();
  await join();
  await join();
  const begunBefore = workers.reduce((sum, { begun }) => sum + begun, 0);
  const even = await join();
  const moved = workers.reduce((sum, { begun }) => sum + begun, 0) - begunBefore;
  await Promise.all(workers.map(({ fleet }) => fleet.stop()));
  return { locks, first, even, moved, freed: await freed(crew) };
}

async function plainLocks(crew: Crew): Promise<number> {
  const sync = crew.manager();
  await sync.connect();
  const begun = performance.now();
  const grants = await Promise.all(
    Array.from({ length: ITEMS }, (_, n) => sync.acquire(uniqueKey(String(n)))),
  );
  const took = performance.now() - begun;
  await Promise.all(grants.map((grant) => grant.release()));
  return took;
}

/** One item is given back while many wait for any: until one of them has it. */
async function freed(crew: Crew): Promise<number> {
  const owner = crew.pool();
  const leases = [];
  for (let n = 0; n < ITEMS; n += WAITERS) {
    const ids = Array.from({ length: WAITERS }, (_, more) => String(n + more));
    leases.push(...(await Promise.all(ids.map((id) => owner.lease(id, { lesseeId: 'owner' })))));
  }
  const stopping = new AbortController();
  const waiting = Array.from({ length: WAITERS }, () =>
    crew.pool().waitUntilObtained({ lesseeId: 'waiter', signal: stopping.signal }),
  );
  const settled = Promise.allSettled(waiting);
  // All of them are in line, and seen.
  await until(() => owner.status.workers === WAITERS);
  const begun = performance.now();
  await leases[0]?.release();
  await Promise.race(waiting);
  const took = performance.now() - begun;
  stopping.abort(new Error('enough'));
  await settled;
  return took;
}

class Worker {
  readonly fleet: Fleet<null, JsonValue>;
  ids: readonly string[] = [];
  begun = 0;

  constructor(pool: LeasePool<null>) {
    this.fleet = pool.balance({}, ({ yielding }) => {
      this.begun += 1;
      return aborted(yielding);
    });
    this.fleet.assignment$.subscribe((ids) => {
      this.ids = ids;
    });
  }
}

async function run(servers: Servers, { blocks, onProgress }: Settings): Promise<RowReport> {
  // Not on Postgres: a hundred processes in line want four connections each, which is all that a server has.
  const places = stores.map((store) => ({
    store,
    open: () => connectTo(store, addressOf(servers, store)),
  }));
  const lines: Line[] = [];
  const raw: Record<string, Round[]> = {};
  for (const { store, open } of places) {
    const rounds: Round[] = [];
    await round(open);
    for (let n = 0; n < Math.min(blocks, MOST_ROUNDS); n++) {
      rounds.push(await round(open));
      onProgress(`${store}, round ${n + 1}`);
    }
    raw[store] = rounds;
    const of = (name: keyof Round): number => median(rounds.map((each) => each[name]));
    const ratio = ratioOf(
      rounds.map(({ first }) => first),
      rounds.map(({ locks }) => locks),
    );
    const onEtcd = store === 'etcd';
    lines.push(
      {
        what: `${ITEMS} items, the first worker has all, ${store} (of as many plain locks)`,
        figure: ms(of('first')),
        ratio: interval({ ratio }),
        ...(onEtcd && { goal: `<= ${GOALS.first} ms`, met: of('first') <= GOALS.first }),
      },
      {
        what: `a fourth worker joins, until all are even, ${store}`,
        figure: ms(of('even')),
        goal: `<= ${GOALS.even} ms`,
        met: of('even') <= GOALS.even,
      },
      {
        what: `items that moved for it, ${store}`,
        figure: String(Math.max(...rounds.map(({ moved }) => moved))),
        goal: `<= ${GOALS.moved}`,
        met: rounds.every(({ moved }) => moved <= GOALS.moved),
      },
      { what: `one item is freed, ${WAITERS} wait: until one has it, ${store}`, figure: ms(of('freed')) },
    );
  }
  return { lines, raw };
}

export const leaseRows: readonly Row[] = [
  {
    name: 'leases',
    what: 'a pool of 1,000 items: the first worker, a fourth one, and one item for a hundred who wait',
    run,
  },
];
