import type { Clock } from './clock.ts';

/** Resolves when the work is done, which never rejects, or after so many milliseconds: then `late` is told before. */
export async function within(
  clock: Clock,
  ms: number,
  work: Promise<unknown>,
  late?: (ms: number) => void,
): Promise<void> {
  let giveUp = (): void => {};
  const bounded = new Promise<void>((resolve) => {
    giveUp = resolve;
  });
  const timer = clock.after(ms, () => {
    late?.(ms);
    giveUp();
  });
  await Promise.race([work, bounded]);
  timer.cancel();
}
