import type { Clock } from './backend.ts';

/** How many locks are released at a time by `stop()`. */
const PARALLELISM = 64;

/** Resolves when the work is done, which never rejects, or after so many milliseconds. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  let giveUp = (): void => {};
  const bounded = new Promise<void>((resolve) => {
    giveUp = resolve;
  });
  const timer = clock.after(ms, () => giveUp());
  await Promise.race([work, bounded]);
  timer.cancel();
}

/** Does this work, the last first, and a bounded part of it at a time: a server is not to be overrun. */
export async function gently(works: (() => Promise<void>)[]): Promise<void> {
  const worker = async (): Promise<void> => {
    for (let work = works.pop(); work !== undefined; work = works.pop()) await work();
  };
  await Promise.all(Array.from({ length: PARALLELISM }, worker));
}
