import assert from 'node:assert/strict';
import { monotonic } from '../../async/platform.ts';
import { messageOf } from '../../async/realms.ts';
import type { Backend } from '../../contract/backend.ts';
import type { Bench } from './bench.ts';
import type { ConformancePause } from './subject.ts';
import { awaitedLater, quiet, turn } from './timing.ts';

/** Of the event loop, by which either of two who race comes later at most. */
const MOST_TURNS = 7;
/** No call has as many steps. */
const MOST_STEPS = 500;
/** Milliseconds without a step, of anybody: who is not over then waits for the other. */
const BLOCKED = 100;
const MEANWHILE = 25;
/** Of the event loop. On a busy machine a few of them take longer than that. */
const IDLE_TURNS = 10;

/** Does two things at once, the first of which is what the round's client does. */
export type AtOnce = <T, U>(first: () => Promise<T>, second: () => Promise<U>) => Promise<[T, U]>;

/** One way for two to meet. The name is different each time. */
export type Round = (client: Backend, atOnce: AtOnce, name: string) => Promise<void>;

/** Raced, and then stopped. */
export async function everyWay(bench: Bench, round: Round): Promise<void> {
  await races(bench, round);
  await stops(bench, round);
}

/** Both begin at about the same time, in either order. */
export async function races(bench: Bench, round: Round): Promise<void> {
  const client = await bench.client();
  for (let lead = -MOST_TURNS; lead <= MOST_TURNS; lead++) {
    const atOnce: AtOnce = (first, second) =>
      Promise.all([after(Math.max(0, -lead), first), after(Math.max(0, lead), second)]);
    await round(client, atOnce, `race-${lead + MOST_TURNS}`);
  }
}

/**
 * The first is stopped at its first step, the next time at its second, and so on, while the second does all it can; in the
 * end, or at once where the subject has no steps, the second begins when the first is over or waits for it.
 *
 * @param meanwhile milliseconds without a step, after which the second waits for the first while that is stopped
 */
export async function stops(bench: Bench, round: Round, meanwhile = MEANWHILE): Promise<void> {
  const brake = new Brake();
  const client = await bench.client(brake.pause);
  for (let step = 0; step < MOST_STEPS; step++) {
    const atOnce: AtOnce = async (first, second) => {
      const stopped = brake.at(step);
      const doing = awaitedLater(first());
      await settledOrIdle(bench, [doing, stopped], BLOCKED);
      const other = awaitedLater(second());
      await settledOrIdle(bench, [doing, other], meanwhile);
      brake.release();
      return [await doing, await other];
    };
    try {
      await round(client, atOnce, `step-${step}`);
    } catch (error) {
      const place =
        brake.place === undefined ? 'while nobody was stopped' : `while one was stopped ${brake.place}`;
      const failure = new assert.AssertionError({ message: `${messageOf(error)}, ${place}` });
      failure.cause = error;
      throw failure;
    } finally {
      brake.release();
    }
    if (brake.place === undefined) return;
  }
  assert.fail(`a call with ${MOST_STEPS} steps`);
}

/** Stops who calls `pause` at one of its steps. */
class Brake {
  /** Where it has stopped somebody since it was set. */
  place: string | undefined;
  #set: { left: number; readonly reached: () => void } | undefined;
  #go: (() => void) | undefined;

  readonly pause: ConformancePause = (step) => {
    const set = this.#set;
    if (set === undefined || set.left-- > 0) return Promise.resolve();
    this.#set = undefined;
    this.place = step;
    set.reached();
    return new Promise((go) => {
      this.#go = go;
    });
  };

  /** Settles once somebody is stopped there. */
  at(step: number): Promise<void> {
    this.place = undefined;
    return new Promise((reached) => {
      this.#set = { left: step, reached };
    });
  }

  release(): void {
    this.#set = undefined;
    this.#go?.();
    this.#go = undefined;
  }
}

async function after<T>(turns: number, call: () => Promise<T>): Promise<T> {
  for (let n = 0; n < turns; n++) await turn();
  return call();
}

/** Until one of them is settled, or nobody has made a step for so long. */
async function settledOrIdle(bench: Bench, promises: readonly Promise<unknown>[], ms: number): Promise<void> {
  let over = false;
  const settled = Promise.race(promises).then(
    () => undefined,
    () => undefined,
  );
  const idle = async (): Promise<void> => {
    const latest = monotonic() + ms + bench.patience / 4;
    for (let seen = -1; !over && seen !== bench.steps && monotonic() < latest; ) {
      seen = bench.steps;
      await quiet(ms);
      for (let n = 0; n < IDLE_TURNS; n++) await turn();
    }
  };
  await Promise.race([settled, idle()]);
  over = true;
}
