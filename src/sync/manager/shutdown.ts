import { constants } from 'node:os';
import { systemClock } from '../../async/clock.ts';
import { processWide } from '../../async/process-wide.ts';
import { warnProcess } from '../../async/realms.ts';
import { within } from '../../async/within.ts';
import type { Names } from '../../contract/options.ts';
import { checkDuration, checkNames } from '../../contract/options.ts';
import type { SyncManager } from './sync-manager.ts';

export interface ShutdownOptions {
  /** Default `SIGTERM` and `SIGINT`. */
  readonly signals?: readonly NodeJS.Signals[];
  /**
   * Done before anything is given back, such as to stop taking requests. What it rejects with becomes a process warning, and so
   * does that it takes longer than `beforeTimeout`: then everything is given back all the same.
   */
  readonly before?: () => Promise<void> | void;
  /** Milliseconds that `before` may take. Default 20 000: long enough to finish requests, and short of a SIGKILL. */
  readonly beforeTimeout?: number;
  /** Milliseconds that `stop()` may take for each manager. Default 5 000. */
  readonly timeout?: number;
}

const SHUTDOWN: Names<ShutdownOptions> = { signals: true, before: true, beforeTimeout: true, timeout: true };

/** Below the 30 s that Kubernetes gives a process to end, together with the time for the locks. */
const DEFAULT_BEFORE = 20_000;

const DEFAULT_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];

/** Shutdowns that are under way in this process: the last of them ends it. */
const underWay = processWide('shutdowns.1', () => new Set<object>());

/**
 * At the first of these signals: stops claiming, gives everything back, closes the sessions, and lets the process end
 * as the signal would have ended it, unless somebody else listens to it as well and decides about that. Where several are
 * installed, the one that is done last ends the process. A second signal ends it at once.
 *
 * The first process of a container (PID 1) is not ended by a signal that nobody listens to: it exits with 128 and the signal's
 * number, which is what a shell tells of a process that was ended by it.
 *
 * Returns what takes it back. Throws `invalid-option` for a bad timeout.
 */
export function installShutdown(
  managers: SyncManager | readonly SyncManager[],
  options: ShutdownOptions = {},
): () => void {
  checkNames(options, SHUTDOWN);
  const { signals = DEFAULT_SIGNALS, before, beforeTimeout = DEFAULT_BEFORE, timeout } = options;
  checkDuration('beforeTimeout', beforeTimeout);
  if (timeout !== undefined) checkDuration('timeout', timeout);
  const all = 'stop' in managers ? [managers] : [...managers];
  const uninstall = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    uninstall();
    const shutdown = {};
    underWay.add(shutdown);
    const takeBack = process.pid === 1 ? exitAtOnce(signals) : undefined;
    const end = (): void => {
      takeBack?.();
      underWay.delete(shutdown);
      if (underWay.size === 0) endBy(signal);
    };
    shutDown().then(end, end);
  };
  const shutDown = async (): Promise<void> => {
    if (before !== undefined) await within(systemClock, beforeTimeout, first(before), late);
    await Promise.all(all.map((manager) => manager.stop(timeout === undefined ? {} : { timeout })));
  };
  for (const signal of signals) process.on(signal, onSignal);
  return uninstall;
}

function endBy(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 0) return;
  if (process.pid === 1) exitAs(signal);
  else process.kill(process.pid, signal);
}

/** A second signal: without a listener the kernel drops it, for the first process of a container. Returns what takes it back. */
function exitAtOnce(signals: readonly NodeJS.Signals[]): () => void {
  for (const signal of signals) process.on(signal, onSecond);
  return () => {
    for (const signal of signals) process.off(signal, onSecond);
  };
}

/** One and the same for all, so that others who listen are known. */
function onSecond(signal: NodeJS.Signals): void {
  if (process.listeners(signal).every((listener) => listener === onSecond)) exitAs(signal);
}

function exitAs(signal: NodeJS.Signals): void {
  process.exit(128 + (constants.signals[signal] ?? 0));
}

async function first(before: () => Promise<void> | void): Promise<void> {
  try {
    await before();
  } catch (error) {
    warn(error);
  }
}

function late(ms: number): void {
  warn(`\`before\` did not end within ${ms} ms; the locks are given back all the same`);
}

function warn(what: unknown): void {
  warnProcess(what, 'SyncShutdownWarning');
}
