import assert from 'node:assert/strict';
import { SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { calm, ProcessClock, SimulatedNetwork, VirtualClock } from 'holdfast/testing';
import { Managers, sessionOf, uniqueKey, until, type World } from '../scenarios/world.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';
import { Schedule } from './schedule.ts';

/** Milliseconds of virtual time. */
const PATIENCE = 60_000;

/** One schedule on virtual time: the same seed is the same run. */
export async function playSeed(seed: number): Promise<string[]> {
  const clock = new VirtualClock({ seed });
  const contention = clock.random() < 0.5 ? 'queue' : 'race';
  const store = new MemoryStore({ contention, clock });
  const slowest = 0.2 + clock.random() * 10;
  const make = (name: string): SyncManager => {
    const process = new ProcessClock(clock);
    const network = new SimulatedNetwork(clock, process, 1_000);
    network.conditions = { ...calm, delay: [0.1, slowest] };
    const session = { ttl: 2_000, lockDelay: 0 };
    return new SyncManager({ name, backend: network.connect(memory({ store })), clock: process, session });
  };
  const [ours, rival] = [make('ours'), make('rival')];
  const schedule = new Schedule({
    key: 'k',
    ours,
    rival,
    after: (ms, task) => void clock.after(ms, task),
    random: () => clock.random(),
    destroySession: () => {
      for (const { id, name } of store.sessions()) if (name === 'ours') store.destroySession(id);
    },
    deleteRecord: ({ isOwner }) => void store.commit({ when: [isOwner], then: [{ remove: isOwner.key }] }),
  });
  const settle = () => clock.runUntil(() => schedule.settled, PATIENCE);
  schedule.start();
  await settle();
  schedule.finish();
  await settle();
  const fates = schedule.verify();
  const states: string[] = [];
  ours.lock('k').state$.subscribe(({ name }) => states.push(name));
  // What a request of a caller that gave up has left behind is gone within half a second.
  await clock.advance(600);
  assert.equal(states.at(-1), 'idle');
  assert.deepEqual(store.records(), [], 'records left');
  let stopped = false;
  Promise.all([ours.stop(), rival.stop()]).then(() => {
    stopped = true;
  });
  await clock.runUntil(() => stopped, 6_000);
  assert.deepEqual(store.sessions(), [], 'sessions left');
  // The server learns of a client that has gone when its blocked query is over.
  await clock.advance(3_000);
  assert.deepEqual([clock.pending, store.waiting], [0, 0], 'timers and blocked queries left');
  return fates;
}

/** Every hundredth seed runs twice, and must be the same run. */
export async function schedules(options: RowOptions & { readonly from?: number }): Promise<RowResult> {
  const { count, from = 1, onProgress } = options;
  const tally = new Tally();
  let done = 0;
  for (let seed = from; seed < from + count && !isOver(options); seed++) {
    try {
      const fates = await playSeed(seed);
      if (seed % 100 === 0) assert.deepEqual(await playSeed(seed), fates, 'the same seed, another run');
      tally.add(fates);
    } catch (cause) {
      const replay = `npm run test:soak -- schedules-memory --from ${seed} --count 1`;
      throw new Error(`schedule ${seed}: ${String(cause)}; replay: ${replay}`, { cause });
    }
    done++;
    if (done % 1_000 === 0) onProgress?.(done);
  }
  return { done, figures: `${done} random schedules: ${tally}` };
}

/** How many schedules are played at a time on a real server, each by two managers. */
const TOGETHER = 25;
/** The same on Postgres, where each client has up to four connections, and each of them is a process. */
const TOGETHER_ON_POSTGRES = 8;

/** The same on a real server. What happens follows from its timing too, so a seed gives the schedule and not the run. */
export async function schedulesOn(world: World, options: RowOptions): Promise<RowResult> {
  const { count, onProgress } = options;
  const together = world.name === 'Postgres' ? TOGETHER_ON_POSTGRES : TOGETHER;
  const tally = new Tally();
  let done = 0;
  while (done < count && !isOver(options)) {
    const seeds = Array.from({ length: Math.min(together, count - done) }, (_, index) => done + index + 1);
    for (const fates of await Promise.all(seeds.map((seed) => playOn(world, seed)))) tally.add(fates);
    done += seeds.length;
    onProgress?.(done);
  }
  return { done, figures: `${done} random schedules on ${world.name}: ${tally}` };
}

async function playOn(world: World, seed: number): Promise<string[]> {
  await using managers = new Managers(world);
  const operator = managers.operator();
  const [ours, rival] = [managers.make(), managers.make()];
  const chance = new VirtualClock({ seed });
  const key = uniqueKey('schedule');
  const acts: Promise<unknown>[] = [];
  const schedule = new Schedule({
    key,
    ours,
    rival,
    after: (ms, task) => void setTimeout(task, ms),
    random: () => chance.random(),
    destroySession: () => {
      acts.push(sessionOf(ours).then((id) => operator.closeSession(id, signal())));
    },
    deleteRecord: ({ isOwner }) => {
      acts.push(operator.commit({ when: [isOwner], then: [{ remove: isOwner.key }] }, signal()));
    },
  });
  await ours.tryAcquire(uniqueKey('warm'));
  schedule.start();
  await until(() => schedule.settled);
  await Promise.all(acts);
  schedule.finish();
  await until(() => schedule.settled);
  try {
    const fates = schedule.verify();
    const left = async () => (await operator.query({ prefix: key }, { signal: signal() })).records;
    await until(async () => (await left()).length === 0, 1_500);
    return fates;
  } catch (cause) {
    throw new Error(`schedule ${seed} on ${world.name}: ${String(cause)}`, { cause });
  }
}

const signal = (): AbortSignal => new AbortController().signal;

class Tally {
  readonly #times = new Map<string, number>();

  add(fates: readonly string[]): void {
    for (const fate of fates) this.#times.set(fate, (this.#times.get(fate) ?? 0) + 1);
  }

  toString(): string {
    const sorted = [...this.#times].toSorted(([, a], [, b]) => b - a);
    return sorted.map(([fate, times]) => `${fate} ${times}`).join(', ');
  }
}
