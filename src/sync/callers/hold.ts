import type { Clock } from '../../async/clock.ts';
import type { CallOptions } from './call-options.ts';
import type { CallTelemetry } from './call-telemetry.ts';
import type { Grant } from './grant.ts';
import { limited } from './limits.ts';
import { runUnder } from './work-context.ts';

export interface HoldHost {
  readonly clock: Clock;
  readonly telemetry: CallTelemetry;
  readonly detectDeadlocks: boolean;
}

/** Work under a grant, which is given back whatever happens. */
export type Work<T> = (grant: Grant) => Promise<T> | T;

/** Rejects with what the work rejects with, and with `lost` if the grant was lost before it was done. */
export async function hold<T>(
  { clock, telemetry, detectDeadlocks }: HoldHost,
  grant: Grant,
  work: Work<T>,
  options: CallOptions | undefined,
): Promise<T> {
  try {
    const result = await telemetry.holding(grant, () =>
      detectDeadlocks ? runUnder(grant, () => work(grant)) : work(grant),
    );
    if (!grant.held) {
      // In doubt is not lost: that is known at the latest at the deadline.
      await grant.settled;
      // Giving it back early is the work's own business.
      if (grant.ended !== 'released') grant.assertHeld();
    }
    return result;
  } finally {
    await limited(clock, options?.signal, options?.timeout, grant.release());
  }
}
