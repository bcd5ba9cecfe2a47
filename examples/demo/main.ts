import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import { SyncError } from 'holdfast';
import { Election } from './election.ts';
import { counterKey, numberAt } from './replica.ts';
import { BOUND, openStore, STORES, type Store, type StoreName } from './stores.ts';
import { say, silence } from './timeline.ts';

const REPLICAS = 3;

const program = new Command('npm run demo --')
  .description(
    'Three replicas elect a leader and count under a lock; the leader disappears; nothing is lost.',
  )
  .addOption(new Option('--backend <name>', 'where the locks live').choices(STORES).default('memory'))
  .addOption(new Option('--address <host:port>', 'of a running server; without it, one is started'))
  .parse();

const { backend, address } = program.opts<{ backend: StoreName; address?: string }>();
if (backend === 'memory' && address !== undefined)
  program.error('--address goes with etcd, consul or postgres');

const watchdog = setInterval(() => {
  if (silence() < BOUND[backend]) return;
  say(`gave up: nothing happened for ${BOUND[backend] / 1_000} s`);
  process.exit(1);
}, 1_000);

try {
  await using store = await openStore(backend, address);
  await reach(store);
  process.exitCode = (await demonstrate(store)) ? 0 : 1;
} catch (error) {
  say(error instanceof SyncError ? `cannot go on: ${error.message}` : String(error));
  process.exitCode = 2;
} finally {
  clearInterval(watchdog);
}

/** A server that is not there is told at once, in one sentence. */
async function reach(store: Store): Promise<void> {
  await using client = store.connect();
  await client.query({ key: counterKey('reach') }, { signal: AbortSignal.timeout(5_000) });
}

async function demonstrate(store: Store): Promise<boolean> {
  const run = randomUUID().slice(0, 8);
  const election = new Election(store, backend, run);
  say(
    `${REPLICAS} replicas of the service "demo" on ${backend}${store.address ? ` at ${store.address}` : ''}`,
  );
  for (let number = 1; number <= REPLICAS; number++) election.start(number);

  const first = await election.leader();
  await election.counted(10);
  say(`replica ${first.replica} disappears: ${store.address ? 'SIGKILL' : 'cut off from the store'}`);
  election.vanish(first.replica);
  const second = await election.leaderAfter(first);

  await election.counted(10);
  say(`an operator ends the session of replica ${second.replica}`);
  await election.endSession(second.replica);
  const third = await election.leaderAfter(second);

  await election.counted(10);
  say('everybody stops in good order');
  await election.stop();
  return await summary(
    store,
    run,
    election,
    [first, second, third].map(({ token }) => token),
  );
}

async function summary(store: Store, run: string, election: Election, tokens: bigint[]): Promise<boolean> {
  await using client = store.connect();
  const signal = AbortSignal.timeout(5_000);
  const prefix = `demo/${run}/`;
  const { records } = await client.query({ prefix }, { signal });
  const counter = numberAt(records, counterKey(run));
  const tallies = records.filter(({ key }) => key.startsWith(`${prefix}tally/`));
  const increments = tallies.reduce((sum, { key }) => sum + numberAt(records, key), 0);
  for (const { key } of records) await client.commit({ when: [], then: [{ remove: key }] }, signal);

  // A process that was killed may have counted without telling, so values may be missing here, but none twice.
  const told = election.increments.toSorted((a, b) => a.value - b.value);
  const rising = (values: readonly bigint[]) =>
    values.every((value, i) => i === 0 || value > (values[i - 1] ?? 0n));
  const proofs = {
    [`counter ${counter} = ${increments} increments`]: counter === increments && counter > 0,
    [`no value was written twice, in ${told.length} acknowledged increments`]: rising(
      told.map(({ value }) => BigInt(value)),
    ),
    'fencing tokens increase with the counter': rising(told.map(({ token }) => token)),
    [`leadership tokens strictly increase: ${tokens.join(' < ')}`]: rising(tokens),
  };
  for (const [claim, holds] of Object.entries(proofs)) say(`${holds ? 'ok  ' : 'FAIL'}  ${claim}`);
  const good = Object.values(proofs).every(Boolean);
  say(good ? 'nothing was lost' : 'something was LOST');
  return good;
}
