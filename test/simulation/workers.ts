import type { CommitResult, Condition, Grant } from 'holdfast';
import { sleep } from '../../src/async/sleep.ts';
import { givenBack } from '../scenarios/world.ts';
import { type Process, type World, written } from './world.ts';

/** One caller in one process that wants one lock, again and again. */
export interface Worker {
  readonly name: string;
  readonly process: Process;
  /** How often it held the lock. */
  turns: number;
  readonly done: Promise<void>;
}

export function startWorker(world: World, process: Process, key: string, standing: boolean): Worker {
  const worker: Worker = {
    name: `p${process.number}/${key}${standing ? ' (standing)' : ''}`,
    process,
    turns: 0,
    done: Promise.resolve().then(() => work(world, process, key, standing, () => worker.turns++)),
  };
  return worker;
}

async function work(
  world: World,
  process: Process,
  key: string,
  standing: boolean,
  onTurn: () => void,
): Promise<void> {
  const { clock, sync, stopping } = process;
  const pause = (ms: number) => sleep(clock, ms, stopping.signal);
  const use = async (grant: Grant, asked: number): Promise<void> => {
    onTurn();
    if (!grant.held && !grant.signal.aborted) {
      world.violate('a lock was handed out that is not held', `p${process.number}: ${key}, ${grant.token}`);
    }
    world.meet(process, grant, asked);
    // Some hold on for as long as they can; but not when everybody has to get on.
    const rounds = Math.floor(world.between(0, !world.well && world.chance(0.15) ? 25 : 4));
    for (let round = 0; round < rounds && !grant.signal.aborted; round++) {
      await pause(world.between(0, 200));
      if (world.chance(0.5)) await write(world, process, grant).catch(() => undefined);
    }
    // Some write in passing; some hold on to a proof, and try it when it is too late.
    if (world.chance(0.2)) write(world, process, grant).catch(() => undefined);
    if (world.chance(0.1)) {
      const late = world.between(0, world.chance(0.3) ? 3_000 : 300);
      clock.after(late, () => void write(world, process, grant).catch(() => undefined));
    }
  };
  while (!stopping.signal.aborted) {
    try {
      // Some have other things to do for a while.
      await pause(world.between(0, world.chance(0.1) ? 3_000 : 150));
      if (standing) {
        const lock = sync.lock(key);
        process.standing.add(key);
        const timeout = world.between(10, 800);
        const once = world.chance(0.5);
        const asked = world.clock.now();
        const ask = (): Promise<Grant | undefined> =>
          once ? trying(world, process, (options) => lock.tryLock(options)) : lock.lock({ timeout });
        const grant = await asking(process, key, ask());
        if (grant === undefined) continue;
        await use(grant, asked);
        // Often it holds on, and the next round finds it held.
        if (world.chance(0.6)) {
          await lock.release();
          process.standing.delete(key);
        }
      } else {
        await useScoped(world, process, key, use);
      }
    } catch (error) {
      if (stopping.signal.aborted) return;
      if (!isExpected(error, world))
        world.violate('an unexpected error', `${process.number}: ${String(error)}`);
    } finally {
      for (const grant of process.grants)
        if (grant.key === key && grant.signal.aborted) process.grants.delete(grant);
    }
  }
}

async function useScoped(
  world: World,
  process: Process,
  key: string,
  use: (grant: Grant, asked: number) => Promise<void>,
): Promise<void> {
  const { clock, sync } = process;
  const asked = world.clock.now();
  const finish = async (grant: Grant): Promise<void> => {
    await use(grant, asked);
    const release = world.order(key).releasing(`p${process.number}`, grant.token);
    if (await givenBack(sync, grant)) release.done();
  };
  if (world.chance(0.2)) {
    const tried = await trying(world, process, (options) => sync.tryAcquire(key, options));
    if (tried === undefined) return;
    await finish(tried);
    return;
  }
  const controller = new AbortController();
  const abort = world.chance(world.well ? 0.1 : 0.3)
    ? clock.after(world.between(0, 300), () => controller.abort(new Error('gave up')))
    : undefined;
  try {
    // Who is patient enough gets the lock for certain, once all is well.
    const timeout = world.well ? 60_000 : world.between(300, 5_000);
    const options = { signal: controller.signal, timeout };
    const grant = await asking(
      process,
      key,
      inLine(world, process, key, () => sync.acquire(key, options)),
    );
    await finish(grant);
  } finally {
    abort?.cancel();
  }
}

/** Milliseconds that a single attempt may take: its session is opened, its requests are lost, and so is that which takes it back. */
const ATTEMPT = 2_500;

/** A try ends with its attempt, also without a limit of its own. */
async function trying(
  world: World,
  process: Process,
  call: (options: { readonly timeout?: number }) => Promise<Grant | undefined>,
): Promise<Grant | undefined> {
  const { clock, halts } = process;
  const began = clock.now();
  try {
    return await call(world.chance(0.5) ? { timeout: world.between(10, 800) } : {});
  } finally {
    const took = clock.now() - began;
    if (process.halts === halts && took > ATTEMPT) {
      world.violate('a try waited for longer than an attempt', `p${process.number}: ${took.toFixed(0)} ms`);
    }
  }
}

async function asking<T>({ asking }: Process, key: string, call: Promise<T>): Promise<T> {
  asking.set(key, (asking.get(key) ?? 0) + 1);
  try {
    return await call;
  } finally {
    asking.set(key, (asking.get(key) ?? 0) - 1);
  }
}

/** Callers of one process are served in the order in which they asked. */
async function inLine(world: World, { line, number }: Process, key: string, ask: () => Promise<Grant>) {
  const waiting = line.get(key) ?? new Set();
  line.set(key, waiting);
  const place = world.nextPlace();
  waiting.add(place);
  try {
    const grant = await ask();
    const first = Math.min(...waiting);
    if (first !== place) world.violate('served out of order', `p${number}: ${key}, ${place} before ${first}`);
    return grant;
  } finally {
    waiting.delete(place);
  }
}

/** A write that the store must refuse once another grant was made; and sometimes a look at what stands there. */
async function write(world: World, { number, sync, network }: Process, grant: Grant): Promise<void> {
  const { key, token } = grant;
  const history = world.order(key);
  const data = `${key}/data`;
  const value = written(grant, world.nextPlace());
  // Asked twice and heard of the second time only, a refusal says nothing about the first.
  const { repeat } = network.conditions;
  const writing = history.writing(`p${number}`, token, value);
  const result = await sync.commit({ when: [proofOf(world, grant)], then: [{ put: data, value }] });
  if (result.ok) writing.accepted();
  else if (repeat === 0) writing.refused();
  if (world.chance(0.5)) return;
  const reading = history.reading(`p${number}`);
  const { read } = (await sync.commit({ read: { key: data } })) as Extract<CommitResult, { ok: true }>;
  const text = read?.[0]?.value;
  reading.got(text === undefined ? undefined : Buffer.from(text).toString());
}

/** As it was given, or as it comes out of somewhere else: what counts is what it says. */
function proofOf(world: World, { isOwner }: Grant): Condition {
  if (world.chance(0.8)) return isOwner;
  const { key, revision, handOff } = isOwner;
  // Of who acquired it from the store, that is all there is to say.
  return handOff === 0 ? { key, revision } : structuredClone(isOwner);
}

function isExpected(error: unknown, { mayOperate, mayRestore, mayGarble }: World): boolean {
  if (!(error instanceof Error)) return false;
  if (error.message === 'gave up') return true;
  const { code } = error as { code?: string };
  if (code === 'foreign-record') return mayOperate;
  if (code === 'store-reset') return mayRestore;
  if (mayGarble && error.message === 'garbled') return true;
  return ['timeout', 'lost', 'released', 'stopped', 'unavailable'].includes(code ?? '');
}
