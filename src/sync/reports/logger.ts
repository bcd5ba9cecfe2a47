import type { Observable } from 'rxjs';
import type { Clock } from '../../async/clock.ts';
import { quoteKey } from '../../contract/quote.ts';
import type { SyncEvent } from './sync-event.ts';
import { Troubles } from './troubles.ts';

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
 * Writes what happens to a log: each loss once, as a warning; of what is tried again each kind once, and then at most once a
 * minute. Never a value, a token of a server, or a password.
 */
export function logTo(logger: Logger, service: string, clock: Clock, events$: Observable<SyncEvent>): void {
  const troubles = new Troubles(clock);
  events$.subscribe((event) => {
    if (event.type === 'session' && event.state.name === 'live') troubles.rightAgain();
    const more = event.type === 'trouble' ? troubles.due(event.error, event.key) : '';
    const line = more === undefined ? undefined : lineOf(event);
    if (line === undefined) return;
    const [level, message] = line;
    logger[level](`${service}: ${message}${more}`);
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
    case 'lock-held-long':
      return [
        'warn',
        `holds the lock ${quoteKey(event.key)}, token ${event.token}, for ${Math.round(event.ms / 1_000)} s now`,
      ];
    case 'lock-released':
      return ['debug', `released the lock ${quoteKey(event.key)}, token ${event.token}`];
    case 'record-lost':
      return [
        event.kept ? 'info' : 'warn',
        `lost the record ${quoteKey(event.key)} with its session${event.kept ? ', and puts it again' : ''}`,
      ];
    case 'trouble':
      return [
        'warn',
        `${event.key === undefined ? '' : `lock ${quoteKey(event.key)}: `}trying again after ${event.error}`,
      ];
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
