import assert from 'node:assert/strict';
import { messageOf } from '../../async/realms.ts';
import type { Backend } from '../../contract/backend.ts';
import type { Bench } from './bench.ts';
import type { ConformancePause } from './subject.ts';
import { awaitedLater, quiet, turn } from './timing.ts';

/** Of the event loop, by which either of two who race comes later at most. */
const MOST_TURNS = 7;
/** No call has as many steps. */
const MOST_STEPS = 500;
/** Milliseconds: who neither ends nor comes to its next step waits for the other. */
const BLOCKED = 100;
/** Milliseconds: what takes longer waits for who is stopped. */
const MEANWHILE = 25;

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
 * @param meanwhile milliseconds for the second while the first is stopped: it may have to wait for it.
 */
export async function stops(bench: Bench, round: Round, meanwhile = MEANWHILE): Promise<void> {
  const brake = new Brake();
  const client = await bench.client(brake.pause);
  for (let step = 0; step < MOST_STEPS; step++) {
    const atOnce: AtOnce = async (first, second) => {
      const stopped = brake.at(step);
      const doing = awaitedLater(first());
      await Promise.race([settled(doing), stopped, quiet(BLOCKED)]);
      const other = awaitedLater(second());
      await Promise.race([settled(other), settled(doing), quiet(meanwhile)]);
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

function settled(promise: Promise<unknown>): Promise<void> {
  return promise.then(
    () => undefined,
    () => undefined,
  );
}
