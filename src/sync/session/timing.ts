import type { Backend } from '../../contract/backend.ts';
import { checkDuration, invalid, type Names } from '../../contract/options.ts';

export interface SessionTiming {
  /**
   * Milliseconds the server keeps the session after the last renewal it saw. Default 10 000.
   * A shorter TTL means a faster take-over after a crash, and less patience with a slow network.
   */
  readonly ttl?: number;
  /**
   * Milliseconds for which Consul holds a key back after the session that held it was invalidated.
   * Default: the TTL, at most the server's limit. With it, a holder whose session an operator destroyed has stopped
   * believing before anybody else can hold. Stores without a lock-delay ignore it.
   */
  readonly lockDelay?: number;
  /** Milliseconds between renewals. Default: a third of the TTL the server granted. */
  readonly renewInterval?: number;
  /**
   * Milliseconds by which we stop believing before the server may give the session up: the room for clocks that run
   * at different rates. Default: a tenth of the TTL the server granted.
   */
  readonly margin?: number;
  /**
   * Whether a machine that may have slept (or whose clock was set) gives up its session, and so loses its locks with the reason
   * `doubt`, rather than to verify it: then signals abort at once, and not only when it turns out that it was too long. Default false.
   */
  readonly abortOnDoubt?: boolean;
}

export interface Timing {
  readonly ttl: number;
  readonly lockDelay: number;
  readonly renewInterval: number | undefined;
  readonly margin: number | undefined;
  readonly abortOnDoubt: boolean;
}

const DEFAULT_TTL = 10_000;

export const SESSION: Names<SessionTiming> = {
  ttl: true,
  lockDelay: true,
  renewInterval: true,
  margin: true,
  abortOnDoubt: true,
};

/** Interval and margin for a TTL as the server granted it: in proportion, if that is less than was asked for. */
export function scheduleFor(ttl: number, timing: Timing): { renewInterval: number; margin: number } {
  const { renewInterval = timing.ttl / 3, margin = timing.ttl / 10 } = timing;
  const share = Math.min(1, ttl / timing.ttl);
  return { renewInterval: renewInterval * share, margin: margin * share };
}

/** Throws `invalid-option`: all that has to fit together is looked at together. */
export function checkTiming(session: SessionTiming, { traits }: Backend): Timing {
  const ttl = session.ttl ?? DEFAULT_TTL;
  checkDuration('session.ttl', ttl);
  if (ttl < traits.ttl.min || ttl > traits.ttl.max) {
    const range = `${traits.ttl.min} to ${traits.ttl.max} ms`;
    throw invalid('session.ttl', `is ${ttl} ms, but ${traits.name} takes ${range}`);
  }
  const lockDelay = session.lockDelay ?? Math.min(ttl, traits.maxLockDelay);
  if (lockDelay !== 0) checkDuration('session.lockDelay', lockDelay);
  if (traits.maxLockDelay > 0 && lockDelay > traits.maxLockDelay) {
    const limit = `${traits.name} takes at most ${traits.maxLockDelay} ms`;
    throw invalid('session.lockDelay', `is ${lockDelay} ms, but ${limit}`);
  }
  const { abortOnDoubt = false } = session;
  if (typeof abortOnDoubt !== 'boolean') throw invalid('session.abortOnDoubt', 'must be true or false');
  const timing = {
    ttl,
    lockDelay,
    renewInterval: session.renewInterval,
    margin: session.margin,
    abortOnDoubt,
  };
  if (timing.renewInterval !== undefined) checkDuration('session.renewInterval', timing.renewInterval);
  if (timing.margin !== undefined) checkDuration('session.margin', timing.margin);
  const { renewInterval, margin } = scheduleFor(ttl, timing);
  if (margin >= ttl)
    throw invalid('session.margin', `is ${margin} ms; it must be below the TTL of ${ttl} ms`);
  if (renewInterval >= ttl - margin) {
    const deadline = `the ${ttl - margin} ms (TTL less margin) after which the session is no longer trusted`;
    throw invalid('session.renewInterval', `is ${renewInterval} ms; it must be below ${deadline}`);
  }
  return timing;
}
