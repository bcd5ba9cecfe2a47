import type { SessionEnd } from './session.ts';

/** What the keeper of a session was told meanwhile. Each outweighs those before it. */
export type Told = 'nothing' | 'verify' | 'gone' | 'stop';

/** What is known of a session at one moment. Instants are monotonic milliseconds. */
export interface Upkeep {
  readonly now: number;
  readonly told: Told;
  /** When it is no longer believed in. */
  readonly deadline: number;
  /** Whether it is believed in now: a machine that may have slept does not, before the deadline. */
  readonly trusted: boolean;
  readonly abortOnDoubt: boolean;
  /** When the next renewal is due. */
  readonly due: number;
  /** Renewals that failed in a row. */
  readonly failures: number;
}

export type NextStep =
  | { readonly do: 'end'; readonly reason: SessionEnd }
  | { readonly do: 'renew' }
  /** Unless something is told before. */
  | { readonly do: 'sleep'; readonly ms: number };

/** What a session needs now. */
export function nextStep({ now, told, deadline, trusted, abortOnDoubt, due, failures }: Upkeep): NextStep {
  if (told === 'stop') return { do: 'end', reason: 'stopped' };
  if (told === 'gone') return { do: 'end', reason: 'session-gone' };
  if (now >= deadline) return { do: 'end', reason: 'deadline' };
  if (!trusted && abortOnDoubt) return { do: 'end', reason: 'doubt' };
  // A doubt is asked about at once; when that has failed, no more often than anything else.
  const isUrgent = told === 'verify' || (!trusted && failures === 0);
  if (isUrgent || now >= due) return { do: 'renew' };
  return { do: 'sleep', ms: Math.min(due, deadline) - now };
}
