import type { Clock } from './clock.ts';
import { SettleOnce } from './settle-once.ts';

/** Resolves when the work is done, which never rejects, or after so many milliseconds: then `late` is told before. */
export function within(
  clock: Clock,
  ms: number,
  work: Promise<unknown>,
  late?: (ms: number) => void,
): Promise<void> {
  const over = new SettleOnce<void>().after(clock, ms, () => {
    late?.(ms);
    over.resolve();
  });
  const end = (): void => void over.resolve();
  work.then(end, end);
  return over.promise;
}
