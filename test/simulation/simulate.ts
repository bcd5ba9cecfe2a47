import { heal, unleash } from './chaos.ts';
import type { Outcome } from './outcome.ts';
import type { Subject } from './subject.ts';
import type { System } from './system.ts';
import { TTL } from './timing.ts';
import { World } from './world.ts';

/** Milliseconds of virtual time: from a healed world on, nobody is hungry by then. Sessions and lock-delays of the dead are included. */
const PATIENCE = 30_000;
const STOP_BOUND = 6_000;
const LONGEST_WAIT = 60_000;

/** One run: first the world does harm, then it is well again, and everybody must get on and leave nothing behind. */
export async function simulate(
  system: System,
  subject: Subject,
  seed: number,
  trace = false,
): Promise<Outcome> {
  const world = new World(system, subject, seed, trace);
  const count = 2 + Math.floor(world.between(0, 3));
  for (let number = 0; number < count; number++) world.spawn();
  if (await getsOn(world)) await stopAll(world);
  const { workload, lines } = world;
  workload.judge?.();
  return { seed, violations: world.violations, trace: lines, turns: workload.turns };
}

/** Safety first, then liveness. */
async function getsOn(world: World): Promise<boolean> {
  const { clock, harm, workload } = world;
  unleash(world, harm);
  if (!(await pass(world, () => clock.now() >= harm, harm + 500)) && isBad(world)) return false;
  heal(world);
  if (!(await pass(world, () => workload.hungry().length === 0, PATIENCE))) {
    if (!isBad(world)) world.violate('somebody never gets a turn', workload.hungry().join(', '));
    return false;
  }
  // By now the sessions of the dead have expired, and the lock-delays that this began are over.
  const settled = clock.now() + 3 * TTL;
  world.healed = true;
  if (world.mayTake) world.takeUntil(settled);
  return pass(world, () => clock.now() >= settled, 4 * TTL);
}

function isBad({ violations }: World): boolean {
  return violations.length > 0;
}

/** Lets time pass until then, and looks after every event. `false`: something was seen that may not be, or `limit` was not enough. */
async function pass(world: World, until: () => boolean, limit: number): Promise<boolean> {
  try {
    await world.clock.runUntil(() => {
      world.look();
      return isBad(world) || until();
    }, limit);
    return !isBad(world);
  } catch {
    return false;
  }
}

async function stopAll(world: World): Promise<void> {
  world.note(() => '-- everybody stops');
  const { alive, clock, store, workload } = world;
  const begun = clock.now();
  let stopped = false;
  for (const { stopping } of alive) stopping.abort(new Error('gave up'));
  Promise.all([workload.ended(), ...alive.map(({ sync }) => sync.stop())]).then(
    () => {
      stopped = true;
    },
    (error: unknown) => world.violate('stop() rejected', String(error)),
  );
  try {
    await clock.runUntil(() => stopped || isBad(world), STOP_BOUND);
  } catch {
    world.violate('stop() does not end', `after ${clock.now() - begun} ms`);
    return;
  }
  for (const key of world.keys) {
    if (world.isHeldBack(key)) world.violate('a key is held back after everybody stopped in good order', key);
  }
  // The dead leave what they had to their sessions' TTL, which the server may double.
  await clock.advance(4 * TTL);
  const records = store.records().filter(({ key }) => !workload.keeps?.(key));
  const left = [
    ...records.map(({ key }) => key),
    ...store.sessions().map(({ name }) => `session of ${name}`),
  ];
  if (left.length > 0) world.violate('something was left behind', left.join(', '));
  // The server learns of a dead client's blocked query when its wait is over.
  await clock.advance(2 * LONGEST_WAIT);
  if (clock.pending > 0) world.violate('a timer was left behind', String(clock.pending));
}

/** The first of so many seeds, from that one on, in which something is seen that may not be. */
export async function firstCatch(
  system: System,
  subject: Subject,
  seeds: number,
  from = 1,
): Promise<Outcome | undefined> {
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = await simulate(system, subject, seed);
    if (outcome.violations.length > 0) return outcome;
  }
  return undefined;
}
