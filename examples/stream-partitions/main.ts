import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SyncError } from 'holdfast';
import { managerOf } from '../demo/replicas.ts';
import { openStore, type Store } from '../demo/stores.ts';
import { say, silence } from '../demo/timeline.ts';
import { Board } from './board.ts';
import { Ledger } from './ledger.ts';
import { settingsOf } from './settings.ts';
import { judge } from './verdict.ts';
import { poolOf } from './worker.ts';
import { type Job, start, type Worker } from './workers.ts';

const settings = settingsOf(process.argv);
const { backend, address, events, pace } = settings;
const partitions = Array.from({ length: settings.partitions }, (_, number) => String(number));

/** Milliseconds without anything to tell: a busy machine takes long to start a process. */
const BOUND = 120_000;

const watchdog = setInterval(() => {
  if (silence() < BOUND) return;
  say(`gave up: nothing happened for ${BOUND / 1_000} s`);
  process.exit(1);
}, 1_000);
const folder = await mkdtemp(join(tmpdir(), 'partitions-'));

try {
  await using store = await openStore(backend, address);
  process.exitCode = (await demonstrate(store)) ? 0 : 1;
} catch (error) {
  say(error instanceof SyncError ? `cannot go on: ${error.message}` : String(error));
  process.exitCode = 2;
} finally {
  clearInterval(watchdog);
  await rm(folder, { recursive: true });
}

async function demonstrate(store: Store): Promise<boolean> {
  const file = join(folder, 'ledger');
  await writeFile(file, '');
  const stream = `stream-${randomUUID().slice(0, 8)}`;
  await using sync = managerOf(store.connect(), backend);
  // A server that is not there is told at once, in one sentence.
  await sync.query({ key: stream }, { signal: AbortSignal.timeout(5_000) });
  const pool = poolOf(sync, stream);
  say(
    `${partitions.length} partitions of ${events} events on ${backend}${store.address ? ` at ${store.address}` : ''}`,
  );
  try {
    await run(store, { backend, stream, pace, file }, async () => {
      await pool.addAll(partitions.map((id) => ({ id, attributes: { events } })));
    });
  } finally {
    await Promise.all(partitions.map((id) => pool.remove(id)));
  }
  return summary(new Ledger(file));
}

/** Three workers share the partitions; one disappears; another one joins. Resolves when all events are done. */
async function run(store: Store, job: Job, begin: () => Promise<void>): Promise<void> {
  const board = new Board(say);
  const gone = new Set<string>();
  const started: Worker[] = [];
  const add = async (name: string): Promise<void> => {
    started.push(
      start(store, name, job, (news) => {
        if (!gone.has(name)) board.heard(name, news);
      }),
    );
    await board.until(() => board.isReady(name));
  };
  const allHeld = (): boolean => {
    const held = started.flatMap(({ name }) => board.of(name));
    return (
      held.length === partitions.length &&
      started.every(({ name }) => gone.has(name) || board.of(name).length > 0)
    );
  };

  await Promise.all(['a', 'b', 'c'].map(add));
  await begin();
  // It has something to leave behind.
  await board.until(() => allHeld() && board.of('b').every((partition) => board.positionOf(partition) > 0));
  gone.add('b');
  const orphans = board.drop('b');
  say(`worker b disappears: ${store.address ? 'SIGKILL' : 'cut off from the store'}`);
  const left = started.find(({ name }) => name === 'b');
  left?.vanish();
  await board.until(allHeld);
  board.flush();
  say(`its partitions ${orphans.join(' ')} go on elsewhere; worker d joins`);
  await add('d');
  await board.until(allHeld);
  await board.until(() => partitions.every((partition) => board.positionOf(partition) === events));
  board.flush();
  say('all events are done; everybody stops in good order');
  await Promise.all(
    started
      .filter(({ name }) => store.address === undefined || !gone.has(name))
      .map((worker) => worker.stop()),
  );
  board.end();
}

function summary(ledger: Ledger): boolean {
  const verdict = judge(ledger.read(), partitions, events);
  for (const fault of verdict.faults) say(`FAIL  ${fault}`);
  const { repeated, stale } = verdict;
  say(
    `${verdict.events} events, ${repeated} repeated after the last checkpoint, ${stale} refused by their token`,
  );
  const good = verdict.faults.length === 0;
  say(good ? 'in order, and nothing was lost' : 'something went WRONG');
  return good;
}
