import { checkDuration } from './options.ts';
import type { SyncManager } from './sync-manager.ts';

export interface ShutdownOptions {
  /** Default `SIGTERM` and `SIGINT`. */
  readonly signals?: readonly NodeJS.Signals[];
  /** Done before anything is given back, such as to stop taking requests. What it rejects with becomes a process warning. */
  readonly before?: () => Promise<void> | void;
  /** Milliseconds that `stop()` may take for each manager. Default 5 000. */
  readonly timeout?: number;
}

const DEFAULT_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];

/**
 * At the first of these signals: stops claiming, gives everything back, closes the sessions, and lets the process end
 * as the signal would have ended it, unless somebody else listens to it as well and decides about that. A second
 * signal ends the process at once.
 *
 * Returns what takes it back. Throws `invalid-option` for a bad timeout.
 */
export function installShutdown(
  managers: SyncManager | readonly SyncManager[],
  options: ShutdownOptions = {},
): () => void {
  const { signals = DEFAULT_SIGNALS, before, timeout } = options;
  if (timeout !== undefined) checkDuration('timeout', timeout);
  const all = 'stop' in managers ? [managers] : [...managers];
  const uninstall = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    uninstall();
    const end = (): void => {
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    };
    shutDown().then(end, end);
  };
  const shutDown = async (): Promise<void> => {
    try {
      await before?.();
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error), 'SyncShutdownWarning');
    }
    await Promise.all(all.map((manager) => manager.stop(timeout === undefined ? {} : { timeout })));
  };
  for (const signal of signals) process.on(signal, onSignal);
  return uninstall;
}
