import type { Clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';

/** Milliseconds. Most transactions are over when somebody first asks, or very soon. */
const FIRST = 5;
const LONGEST = 250;

/** Asks from time to time whether a transaction is over, until it is. Rejects with the signal's reason. */
export async function untilOver(
  isOver: () => Promise<boolean>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (let pause = FIRST; ; pause = Math.min(2 * pause, LONGEST)) {
    // Who cannot be asked has not said that it is over.
    if (await isOver().catch(() => false)) return;
    await sleep(clock, pause, signal);
  }
}
