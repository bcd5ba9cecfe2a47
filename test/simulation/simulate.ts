import { heal, unleash } from './chaos.ts';
import type { Violation } from './history.ts';
import { startWorker, type Worker } from './workers.ts';
import { type Subject, TTL, World } from './world.ts';

export interface Outcome {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly trace: readonly string[];
  readonly turns: number;
}

/** Milliseconds of virtual time. */
const HARM = 4_000;
/** From a healed world on, everybody has had a turn by then: sessions and lock-delays of the dead included. */
const PATIENCE = 30_000;
const STOP_BOUND = 6_000;
const LONGEST_WAIT = 60_000;

/** One run: first the world does harm, then it is well again, and everybody must get on and leave nothing behind. */
export async function simulate(subject: Subject, seed: number, trace = false): Promise<Outcome> {
  const world = new World(subject, seed, trace);
  const workers: Worker[] = [];
  const count = 2 + Math.floor(world.between(0, 3));
  for (let number = 0; number < count; number++) {
    const process = world.spawn();
    for (const key of world.keys) {
      const standing = world.chance(0.3);
      workers.push(startWorker(world, process, key, standing));
      if (world.chance(0.4)) workers.push(startWorker(world, process, key, false));
    }
  }
  const finish = (): Outcome => {
    world.checkOrder();
    const turns = workers.reduce((sum, worker) => sum + worker.turns, 0);
    return { seed, violations: world.violations, trace: world.lines, turns };
  };
  const bad = (): boolean => world.violations.length > 0;
  const pass = async (until: () => boolean, limit: number): Promise<boolean> => {
    try {
      await world.clock.runUntil(() => {
        world.check();
        return bad() || until();
      }, limit);
      return !bad();
    } catch {
      return false;
    }
  };

  unleash(world, HARM);
  if (!(await pass(() => world.clock.now() >= HARM, HARM + 500)) && bad()) return finish();
  heal(world);

  const living = workers.filter(({ process }) => !process.dead);
  // Who has noticed that the store went back gets nothing any more.
  const before = new Map(living.map((worker) => [worker, worker.turns]));
  const hungry = () =>
    living.filter((worker) => !worker.process.noticed && worker.turns === before.get(worker));
  if (!(await pass(() => hungry().length === 0, PATIENCE))) {
    if (bad()) return finish();
    world.violate(
      'somebody never gets the lock',
      hungry()
        .map(({ name }) => name)
        .join(', '),
    );
    return finish();
  }

  // By now the sessions of the dead have expired, and the lock-delays that this began are over.
  const settled = world.clock.now() + 3 * TTL;
  world.healed = true;
  if (world.mayTake) world.takeUntil(settled);
  if (!(await pass(() => world.clock.now() >= settled, 4 * TTL))) return finish();
  await stopAll(world, living);
  return finish();
}

async function stopAll(world: World, living: readonly Worker[]): Promise<void> {
  world.note(() => '-- everybody stops');
  const begun = world.clock.now();
  let stopped = false;
  for (const { stopping } of world.alive) stopping.abort(new Error('gave up'));
  Promise.all([...living.map(({ done }) => done), ...world.alive.map(({ sync }) => sync.stop())]).then(
    () => {
      stopped = true;
    },
    (error: unknown) => world.violate('stop() rejected', String(error)),
  );
  try {
    await world.clock.runUntil(() => stopped || world.violations.length > 0, STOP_BOUND);
  } catch {
    world.violate('stop() does not end', `after ${world.clock.now() - begun} ms`);
    return;
  }
  for (const key of world.keys) {
    if (world.isHeldBack(key)) world.violate('a key is held back after everybody stopped in good order', key);
  }
  // The dead leave what they had to their sessions' TTL, which the server may double.
  await world.clock.advance(4 * TTL);
  const records = world.store.records().filter(({ key }) => !key.endsWith('/data'));
  const left = [
    ...records.map(({ key }) => key),
    ...world.store.sessions().map(({ name }) => `session of ${name}`),
  ];
  if (left.length > 0) world.violate('something was left behind', left.join(', '));
  // The server learns of a dead client's blocked query when its wait is over.
  await world.clock.advance(2 * LONGEST_WAIT);
  if (world.clock.pending > 0) world.violate('a timer was left behind', String(world.clock.pending));
}
