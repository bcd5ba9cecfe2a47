import type { Observable } from 'rxjs';
import type { SyncEvent } from './events.ts';
import { quoteKey } from './quote.ts';

/** What is told to a log. `console` and loggers such as pino are this already. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof LEVELS)[number];

/**
 * Writes what happens to a log: each loss once, as a warning; what is tried again only when it is another failure than
 * the one before. Never a value, a token of a server, or a password.
 */
export function logTo(logger: Logger, service: string, events$: Observable<SyncEvent>): void {
  let lastTrouble: string | undefined;
  events$.subscribe((event) => {
    const trouble = event.type === 'trouble' ? String(event.error) : undefined;
    const isSame = trouble !== undefined && trouble === lastTrouble;
    if (trouble !== undefined) lastTrouble = trouble;
    // What came right again may be told again.
    if (event.type === 'session' && event.state.name === 'live') lastTrouble = undefined;
    if (isSame) return;
    const line = lineOf(event);
    if (line === undefined) return;
    const [level, message] = line;
    logger[level](`${service}: ${message}`);
  });
}

function lineOf(event: SyncEvent): [Level, string] | undefined {
  switch (event.type) {
    case 'session':
      return sessionLine(event.state);
    case 'session-renewed':
      return undefined;
    case 'lock-held':
      return ['debug', `holds the lock ${quoteKey(event.key)}, token ${event.token}`];
    case 'lock-lost':
      return ['warn', `lost the lock ${quoteKey(event.key)}, token ${event.token}: ${event.reason}`];
    case 'lock-released':
      return ['debug', `released the lock ${quoteKey(event.key)}, token ${event.token}`];
    case 'trouble':
      return ['warn', `trying again after ${String(event.error)}`];
    case 'listener-failed':
      return ['error', `a callback failed: ${String(event.error)}`];
  }
}

function sessionLine(state: Extract<SyncEvent, { type: 'session' }>['state']): [Level, string] {
  switch (state.name) {
    case 'idle':
    case 'opening':
    case 'stopped':
      return ['debug', `session ${state.name}`];
    case 'live':
      return ['info', `session ${state.id} is live`];
    case 'suspended':
      return ['warn', `session ${state.id} could not be renewed yet`];
    case 'ended':
      return state.reason === 'stopped'
        ? ['info', `session ${state.id} was closed`]
        : ['warn', `session ${state.id} ended: ${state.reason}`];
  }
}
