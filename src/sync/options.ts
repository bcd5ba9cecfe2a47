import { expectManyListeners, isAbortSignal } from '../async/realms.ts';
import { type Backend, type Clock, REFUSED, SyncError, systemClock } from './backend.ts';
import { MOST_HAND_OFFS } from './grant.ts';
import { checkKeyOptions } from './key-options.ts';
import { keyProblem } from './keys.ts';
import { inside, type Names, type Place, refuseUnknown } from './known-options.ts';
import { LEVELS, type Logger } from './logger.ts';
import type { Metadata } from './metadata.ts';
import { checkTelemetry, type Telemetry } from './telemetry.ts';
import type { HandOffLimits } from './ticket.ts';

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

export interface HandOff {
  /** How often in a row, from 0 (never) to 65 535. Default 10 000. */
  readonly limit?: number;
  /** For how long in a row, in milliseconds since the lock was acquired from the store. Default 100. */
  readonly within?: number;
}

export interface SyncManagerOptions {
  /** The service's name: of the session, the leadership key and the default metadata. One key segment. */
  readonly name: string;
  /**
   * Belongs to this manager from now on: `stop()` disposes it. A function is called once for each manager, so that the same
   * options can serve several.
   */
  readonly backend: Backend | (() => Backend);
  /**
   * Below which all keys of this manager are kept at the store, as `team-a`: of locks, of leadership and of commits. Callers do not
   * see it. Default: none.
   */
  readonly prefix?: string;
  /** The key of the service's leadership. Default `service/<name>/leadership`. */
  readonly leadershipKey?: string;
  readonly session?: SessionTiming;
  /**
   * Callers of one key in this process pass the lock on among themselves without asking the store, each with a larger
   * token. These bounds give callers of other processes their turn.
   */
  readonly handOff?: HandOff;
  /**
   * Whether a caller who would wait for itself, such as `withLock('k')` inside the work of `withLock('k')`, is told so at once with
   * `deadlock`. It takes an `AsyncLocalStorage` around that work, which before Node 24 makes every promise of the process dearer
   * if there is no other one yet. Default true.
   */
  readonly detectDeadlocks?: boolean;
  /**
   * Milliseconds after which a scoped grant that is still held is told as `lock-held-long`, once; and to the log, and by telemetry.
   * Default 60 000; `Infinity`: never. To end such a grant, see `maxHold` of `acquire`.
   */
  readonly longHold?: number;
  /** What operators see on a lock's record. Default: `{ service, host, pid, since }`. */
  readonly metadata?: Metadata;
  /**
   * Told what happens, each loss once. `console` will do, as will pino and its like. Default: a lost lock
   * and trouble that lasts become process warnings, and `NODE_DEBUG=holdfast` shows everything.
   */
  readonly logger?: Logger;
  /** Told of calls and events: see `holdfast/opentelemetry`. Default: none. */
  readonly telemetry?: Telemetry;
  /** Time, for tests. */
  readonly clock?: Clock;
}

export interface CallOptions {
  /** Gives up this call, with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Gives up this call after so many milliseconds, with a `SyncError` `timeout`. Default: waits without bound. */
  readonly timeout?: number;
}

export interface LockOptions {
  /**
   * Overrides the manager's metadata, from the next attempt on. A caller who takes over the place in line of another one
   * of this process also takes over what that one wrote there.
   */
  readonly metadata?: Metadata;
}

export interface AcquireOptions extends CallOptions, LockOptions {
  /**
   * Milliseconds after which the grant ends, as if it were lost (reason `max-hold`), here and at the store: for work that may
   * never settle. What has not ended by then should heed `grant.signal`. Default: no bound.
   */
  readonly maxHold?: number;
}

export interface StopOptions {
  /**
   * Upper bound in milliseconds; what is not released by then is left to the session's TTL. The work of a leader may take
   * three tenths of it to end. Default 5 000.
   */
  readonly timeout?: number;
}

export interface Timing {
  readonly ttl: number;
  readonly lockDelay: number;
  readonly renewInterval: number | undefined;
  readonly margin: number | undefined;
  readonly abortOnDoubt: boolean;
}

export interface CheckedOptions {
  readonly name: string;
  readonly backend: Backend;
  /** Without a slash at its end. */
  readonly prefix: string;
  readonly leadershipKey: string;
  readonly timing: Timing;
  readonly handOff: HandOffLimits;
  readonly metadata: Metadata | undefined;
  readonly logger: Logger | undefined;
  readonly telemetry: Telemetry | undefined;
  readonly clock: Clock;
  readonly detectDeadlocks: boolean;
  readonly longHold: number;
}

const DEFAULT_TTL = 10_000;
const LONG_HOLD = 60_000;

export const MANAGER: Names<SyncManagerOptions> = {
  name: true,
  backend: true,
  prefix: true,
  leadershipKey: true,
  session: true,
  handOff: true,
  detectDeadlocks: true,
  longHold: true,
  metadata: true,
  logger: true,
  telemetry: true,
  clock: true,
};
const SESSION: Names<SessionTiming> = {
  ttl: true,
  lockDelay: true,
  renewInterval: true,
  margin: true,
  abortOnDoubt: true,
};
const HAND_OFF: Names<HandOff> = { limit: true, within: true };
/** Those of its parts. */
export const INSIDE = [...inside('session', SESSION), ...inside('handOff', HAND_OFF)];

export const CALL: Names<CallOptions> = { signal: true, timeout: true };
export const ACQUIRE: Names<AcquireOptions> = { ...CALL, metadata: true, maxHold: true };
export const LOCK: Names<LockOptions> = { metadata: true };
export const COMMIT: Names<Pick<CallOptions, 'signal'>> = { signal: true };
export const STOP: Names<StopOptions> = { timeout: true };

export function checkNames<T>(options: unknown, names: Names<T>, place?: Place): void {
  refuseUnknown(options, names, invalid, place);
}

/** Interval and margin for a TTL as the server granted it: in proportion, if that is less than was asked for. */
export function scheduleFor(ttl: number, timing: Timing): { renewInterval: number; margin: number } {
  const { renewInterval = timing.ttl / 3, margin = timing.ttl / 10 } = timing;
  const share = Math.min(1, ttl / timing.ttl);
  return { renewInterval: renewInterval * share, margin: margin * share };
}

/** Throws `invalid-option` with the option's name, what is wrong and what would be right. Does no I/O. */
export function checkOptions(options: SyncManagerOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) {
    throw invalid('options', 'must be an object with at least "name" and "backend"');
  }
  checkNames(options, MANAGER, { elsewhere: INSIDE });
  const { name, session = {}, handOff = {}, metadata } = options;
  const { logger, telemetry, clock = systemClock, detectDeadlocks = true, longHold = LONG_HOLD } = options;
  const problem = keyProblem(name) ?? (name.includes('/') ? 'must not have a slash' : undefined);
  if (problem !== undefined) throw invalid('name', problem);
  const keys = checkKeyOptions(options, invalid);
  checkNames(session, SESSION, { where: 'session' });
  checkNames(handOff, HAND_OFF, { where: 'handOff' });
  for (const level of logger === undefined ? [] : LEVELS) {
    if (typeof logger?.[level] !== 'function') throw invalid('logger', `must have a method "${level}"`);
  }
  checkTelemetry(telemetry);
  if (longHold !== Number.POSITIVE_INFINITY) checkDuration('longHold', longHold);
  if (typeof detectDeadlocks !== 'boolean') throw invalid('detectDeadlocks', 'must be true or false');
  const limits = checkHandOff(handOff);
  // Last, so that none is made for nothing.
  const backend = typeof options.backend === 'function' ? options.backend() : options.backend;
  if (typeof backend?.commit !== 'function') {
    const hint = "must be a backend such as memory() from 'holdfast/memory', or a function that makes one";
    throw invalid('backend', hint);
  }
  return {
    name,
    backend,
    ...keys,
    timing: checkTiming(session, backend),
    handOff: limits,
    metadata,
    logger,
    telemetry,
    clock,
    detectDeadlocks,
    longHold,
  };
}

function checkHandOff({ limit = 10_000, within = 100 }: HandOff): HandOffLimits {
  if (!Number.isInteger(limit) || limit < 0 || limit > MOST_HAND_OFFS) {
    throw invalid(
      'handOff.limit',
      `is ${String(limit)}; it must be a whole number from 0 to ${MOST_HAND_OFFS}`,
    );
  }
  checkDuration('handOff.within', within);
  return { limit, within };
}

function checkTiming(session: SessionTiming, { traits }: Backend): Timing {
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

export function checkCallOptions<T extends CallOptions>(
  options: T | undefined,
  names: Names<T>,
): T | CallOptions {
  if (options === undefined) return {};
  checkNames(options, names);
  const { signal, timeout } = options;
  if (signal !== undefined && !isAbortSignal(signal)) {
    throw invalid('signal', 'must be an AbortSignal');
  }
  if (signal !== undefined) expectManyListeners(signal);
  if (timeout !== undefined && timeout !== 0) checkDuration('timeout', timeout);
  return options;
}

/** Throws a `SyncError` `invalid-option` that names the option. */
export function checkDuration(option: string, value: unknown): void {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return;
  throw invalid(option, `is ${String(value)}; it must be a positive, finite number of milliseconds`);
}

/** Of what was asked, before anything was done. */
export function invalid(option: string, problem: string): SyncError {
  return new SyncError('invalid-option', `option "${option}" ${problem}`, REFUSED);
}
