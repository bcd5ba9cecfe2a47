import { setTimeout as sleep } from 'node:timers/promises';
import { median } from 'simple-statistics';
import { addressOf, connectTo, newManager, type Store, stores } from '../clients.ts';
import { ratioOf } from '../paired.ts';
import { PeerProcess, sharedNow } from '../peer-process.ts';
import { interval, type Line, ms, type Row, type RowReport, type Servers, type Settings } from '../row.ts';

/** Milliseconds. The shortest of etcd. */
const TTL = 2_000;
const GOAL = 1.5;
const MOST_ROUNDS = 15;
const MOST_CRASHES = 4;
const SETTLING = 200;

type End = 'hand-off' | 'SIGTERM' | 'SIGKILL';

/** From the end of one leader to the next, of another process. */
async function once(servers: Servers, store: Store, end: End): Promise<number> {
  const address = addressOf(servers, store);
  await using leader = new PeerProcess('leader-fixture.ts', [store, address, String(TTL)]);
  await leader.told<{ leads: true }>();
  const session = { ttl: TTL, lockDelay: 0 };
  await using sync = newManager(servers, store, {
    name: 'fail-over',
    backend: connectTo(store, address),
    session,
  });
  const lock = sync.leadershipLock();
  const leads = lock.lock();
  await sleep(SETTLING);
  if (lock.held) throw new Error('there was a leader');
  const begun = sharedNow();
  if (end === 'hand-off') leader.tell({});
  else leader.signal(end);
  await leads;
  return sharedNow() - begun;
}

async function run(servers: Servers, { blocks, onProgress }: Settings): Promise<RowReport> {
  const lines: Line[] = [];
  const raw: Record<string, unknown> = {};
  for (const store of stores) {
    const times: Record<End, number[]> = { 'hand-off': [], SIGTERM: [], SIGKILL: [] };
    for (let round = 0; round < Math.min(blocks, MOST_ROUNDS); round++) {
      for (const end of ['hand-off', 'SIGTERM'] as const) times[end].push(await once(servers, store, end));
      if (round < MOST_CRASHES) times.SIGKILL.push(await once(servers, store, 'SIGKILL'));
      onProgress(`${store}, round ${round + 1}`);
    }
    raw[store] = times;
    const ratio = ratioOf(times.SIGTERM, times['hand-off']);
    lines.push(
      { what: `release to next leader, ${store}`, figure: ms(median(times['hand-off'])) },
      {
        what: `SIGTERM to next leader, ${store}`,
        figure: ms(median(times.SIGTERM)),
        ratio: interval({ ratio }),
        goal: `<= ${GOAL}`,
        met: ratio.median <= GOAL,
      },
      { what: `SIGKILL to next leader, ${store}, TTL ${TTL} ms`, figure: ms(median(times.SIGKILL)) },
    );
  }
  return { lines, raw };
}

export const failOverRows: readonly Row[] = [
  { name: 'fail-over', what: 'from the end of a leader, by its own will or not, to the next one', run },
];
