import { type Clock, systemClock } from '../../async/clock.ts';
import type { Backend } from '../../contract/backend.ts';
import { keyProblem } from '../../contract/keys.ts';
import { checkDuration, checkNames, inside, invalid, type Names } from '../../contract/options.ts';
import { MOST_HAND_OFFS } from '../callers/grant.ts';
import type { HandOffLimits } from '../callers/hand-off.ts';
import type { Metadata } from '../callers/metadata.ts';
import { LEVELS, type Logger } from '../reports/logger.ts';
import { checkTelemetry, type Telemetry } from '../reports/telemetry.ts';
import { checkTiming, SESSION, type SessionTiming, type Timing } from '../session/timing.ts';
import { checkKeyOptions } from './key-options.ts';

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

export interface StopOptions {
  /**
   * Upper bound in milliseconds; what is not released by then is left to the session's TTL. The work of a leader may take
   * three tenths of it to end. Default 5 000.
   */
  readonly timeout?: number;
}

export interface CheckedOptions {
  readonly name: string;
  readonly backend: Backend;
  /** Without a slash at its end. */
  readonly prefix: string;
  readonly leadershipKey: string;
  readonly session: SessionTiming;
  readonly timing: Timing;
  readonly handOff: HandOffLimits;
  readonly metadata: Metadata | undefined;
  readonly logger: Logger | undefined;
  readonly telemetry: Telemetry | undefined;
  readonly clock: Clock;
  readonly detectDeadlocks: boolean;
  readonly longHold: number;
}

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
const HAND_OFF: Names<HandOff> = { limit: true, within: true };
/** Those of its parts. */
export const INSIDE = [...inside('session', SESSION), ...inside('handOff', HAND_OFF)];

export const STOP: Names<StopOptions> = { timeout: true };

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
  const keys = checkKeyOptions(options);
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
    session,
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
