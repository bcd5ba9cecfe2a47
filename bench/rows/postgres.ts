import { type Backend, SyncManager } from 'holdfast';
import { postgres } from 'holdfast/postgres';
import { Client } from 'pg';
import { median } from 'simple-statistics';
import { type PostgresServer, startPostgres } from '../../test/servers/postgres.ts';
import { inParallel } from '../../test/soak/parallel.ts';
import { LASTING_TTL, live, TTL, uniqueKey } from '../clients.ts';
import { type Figure, paired, ratioOf, type Variant } from '../paired.ts';
import { PostgresPeers } from '../postgres-peers.ts';
import {
  interval,
  type Line,
  ms,
  perSecond,
  type Row,
  type RowReport,
  type Settings,
  speedup,
} from '../row.ts';

/** Each on a server of its own that waits for its disk, as one in earnest does. */

const BATCH = 20;
const [KEYS, FEW, CROWD, LISTENERS] = [1_000, 10, 32, 200];
/** Milliseconds. */
const [BLOCK, POLL, SETTLING] = [250, 100, 40];
const MOST_ROUNDS = 60;

function newManager(server: PostgresServer): SyncManager {
  const backend = postgres({ connectionString: server.url });
  return new SyncManager({ name: 'bench', backend, session: { ttl: TTL, lockDelay: 0 } });
}

async function onOwnServer(work: (server: PostgresServer) => Promise<RowReport>): Promise<RowReport> {
  await using server = await startPostgres({ schema: true, fsync: true });
  return await work(server);
}

function repeated(name: string, cycle: (key: string) => Promise<unknown>): Variant {
  const key = uniqueKey('cycle');
  return {
    name,
    async run() {
      for (let done = 0; done < BATCH; done++) await cycle(key);
      return BATCH;
    },
  };
}

function runCycle(server: PostgresServer, { blocks, onProgress }: Settings): Promise<RowReport> {
  return withPeers(server, 1, async ([peers]) => {
    const sync = newManager(server);
    const variants = [
      repeated('bare INSERT and DELETE', (key) => peers.bare(key)),
      repeated('bare again', (key) => peers.bare(key)),
      repeated('functions alone', (key) => peers.functions(key)),
      repeated('holdfast', async (key) => (await sync.acquire(key)).release()),
      repeated('pg_try_advisory_lock', (key) => peers.advisory(key)),
    ];
    const onBlock = (block: number): void => onProgress(`block ${block} of ${blocks}`);
    const figures = await paired(variants, { blocks, blockMs: 100, onBlock });
    await sync.stop();
    const goals: Record<string, number> = { 'functions alone': 1.6, holdfast: 2 };
    return { lines: figures.map((figure) => slower(figure, goals[figure.name])), raw: figures };
  });
}

function runKeys(server: PostgresServer, { blocks, onProgress }: Settings): Promise<RowReport> {
  return withPeers(server, FEW, async (peers) => {
    const sync = newManager(server);
    const variants: Variant[] = [
      {
        name: `bare transactions on ${FEW} connections`,
        async run() {
          const stem = uniqueKey('keys');
          const each = KEYS / FEW;
          await Promise.all(
            peers.map(async (peer, n) => {
              for (let number = 0; number < each; number++) await peer.bare(`${stem}/${n}/${number}`);
            }),
          );
          return KEYS;
        },
      },
      {
        name: 'holdfast',
        async run() {
          const stem = uniqueKey('keys');
          await inParallel(KEYS, KEYS, async (n) => (await sync.acquire(`${stem}/${n}`)).release());
          return KEYS;
        },
      },
    ];
    const onBlock = (block: number): void => onProgress(`block ${block}`);
    const figures = await paired(variants, { blocks: Math.min(blocks, 10), blockMs: 0, onBlock });
    await sync.stop();
    return { lines: figures.map((figure) => faster(figure, 8)), raw: figures };
  });
}

/** Everybody with a connection and a lock of his own, as often as he can until the block is over. */
function crowd(name: string, cycles: readonly ((key: string) => Promise<unknown>)[]): Variant {
  const keys = cycles.map(() => uniqueKey('own'));
  return {
    name,
    async run() {
      const end = performance.now() + BLOCK;
      let done = 0;
      await Promise.all(
        cycles.map(async (cycle, n) => {
          for (; performance.now() < end; done++) await cycle(keys[n] as string);
        }),
      );
      return done;
    },
  };
}

function runCrowd(
  server: PostgresServer,
  listeners: number,
  { blocks, onProgress }: Settings,
): Promise<RowReport> {
  return withPeers(server, CROWD, async (peers) => {
    const clients = Array.from({ length: listeners }, () => new Client({ connectionString: server.url }));
    for (const client of clients) {
      await client.connect();
      await client.query('LISTEN holdfast');
    }
    const syncs = peers.map(() => newManager(server));
    const variants = [
      crowd(
        'bare INSERT and DELETE',
        peers.map((peer) => (key: string) => peer.bare(key)),
      ),
      crowd(
        'functions alone',
        peers.map((peer) => (key: string) => peer.functions(key)),
      ),
      crowd(
        'holdfast',
        syncs.map((sync) => async (key: string) => (await sync.acquire(key)).release()),
      ),
    ];
    const onBlock = (block: number): void => onProgress(`${listeners} listening, block ${block}`);
    const figures = await paired(variants, { blocks: Math.min(blocks, 10), blockMs: 0, onBlock });
    await Promise.all(syncs.map((sync) => sync.stop()));
    await Promise.all(clients.map((client) => client.end()));
    return { lines: figures.map((figure) => faster(figure, 0.6)), raw: figures };
  });
}

type Mode = 'bare' | 'bare again' | 'holdfast' | 'polled';

function runHandOff(server: PostgresServer, { blocks, onProgress }: Settings): Promise<RowReport> {
  return withPeers(server, 2, async ([giver, taker]) => {
    const [one, two] = [newManager(server), newManager(server)];
    const ours = async (): Promise<number> => {
      const key = uniqueKey('hand-off');
      const grant = await one.acquire(key);
      const taking = two.acquire(key);
      await settle();
      const begun = performance.now();
      void grant.release();
      const taken = await taking;
      const took = performance.now() - begun;
      await taken.release();
      return took;
    };
    const bare = async (polled: boolean): Promise<number> => {
      const key = uniqueKey('hand-off');
      await giver.insert(key);
      const seen = polled ? taker.gone(key, POLL) : taker.told(key);
      await settle();
      const begun = performance.now();
      void giver.remove(key, !polled);
      await seen;
      return performance.now() - begun;
    };
    const modes: Record<Mode, () => Promise<number>> = {
      bare: () => bare(false),
      'bare again': () => bare(false),
      holdfast: ours,
      polled: () => bare(true),
    };
    const times: Record<Mode, number[]> = { bare: [], 'bare again': [], holdfast: [], polled: [] };
    const names = Object.keys(times) as Mode[];
    for (const mode of names) for (let n = 0; n < 5; n++) await modes[mode]();
    for (let round = 0; round < Math.min(MOST_ROUNDS, 2 * blocks); round++) {
      for (const mode of names.toSorted(() => Math.random() - 0.5)) times[mode].push(await modes[mode]());
      onProgress(`round ${round + 1}`);
    }
    await Promise.all([one.stop(), two.stop()]);
    const lines = names.map((mode): Line => {
      const ratio = ratioOf(times[mode], times.bare);
      const line = { what: `hand-off, ${mode}`, figure: ms(median(times[mode])), ratio: interval({ ratio }) };
      if (mode === 'holdfast') return { ...line, goal: '<= 1.3', met: ratio.median <= 1.3 };
      if (mode !== 'polled') return line;
      const { median: longer } = ratioOf(times.polled, times.holdfast);
      return {
        ...line,
        ratio: `${longer.toFixed(1)} times as long as ours`,
        goal: '>= 10',
        met: longer >= 10,
      };
    });
    return { lines, raw: times };
  });
}

/** Until whoever waits has begun to. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLING + Math.random() * POLL));
}

type Peers = readonly PostgresPeers[] & { readonly 0: PostgresPeers; readonly 1: PostgresPeers };

async function withPeers(
  server: PostgresServer,
  count: number,
  work: (peers: Peers) => Promise<RowReport>,
): Promise<RowReport> {
  const backend: Backend = postgres({ connectionString: server.url });
  const { id } = await backend.openSession({ name: 'bare', ttl: LASTING_TTL, lockDelay: 0 }, live);
  await PostgresPeers.install(server.url);
  const peers = await Promise.all(Array.from({ length: count }, () => PostgresPeers.connect(server.url, id)));
  try {
    return await work(peers as unknown as Peers);
  } finally {
    await Promise.all(peers.map((peer) => peer.end()));
    await backend[Symbol.asyncDispose]();
  }
}

function slower(figure: Figure, goal: number | undefined): Line {
  const line = { what: `cycle, ${figure.name}`, figure: ms(figure.ms), ratio: `${interval(figure)} of bare` };
  if (goal === undefined) return line;
  return { ...line, goal: `<= ${goal}`, met: figure.ratio.median <= goal };
}

function faster(figure: Figure, goal: number): Line {
  const line = { what: figure.name, figure: perSecond(figure), ratio: speedup(figure) };
  if (figure.name.startsWith('bare')) return line;
  return { ...line, goal: `>= ${goal}`, met: 1 / figure.ratio.median >= goal };
}

function row(
  name: string,
  what: string,
  run: (server: PostgresServer, settings: Settings) => Promise<RowReport>,
): Row {
  return { name, what, run: (_, settings) => onOwnServer((server) => run(server, settings)) };
}

export const postgresRows: readonly Row[] = [
  row(
    'postgres-cycle',
    'an uncontended acquire and release beside bare transactions and an advisory lock',
    runCycle,
  ),
  row('postgres-keys', `${KEYS} keys in parallel beside separate bare transactions`, runKeys),
  row('postgres-crowd', `${CROWD} connections with locks of their own`, (server, settings) =>
    runCrowd(server, 0, settings),
  ),
  row('postgres-listeners', `the same with ${LISTENERS} that listen`, (server, settings) =>
    runCrowd(server, LISTENERS, settings),
  ),
  row('postgres-hand-off', 'beside a bare DELETE and NOTIFY, and a row polled every 100 ms', runHandOff),
];
