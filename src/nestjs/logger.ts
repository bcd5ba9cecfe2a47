import { type LoggerService, Logger as NestLogger } from '@nestjs/common';
import type { Logger } from '../index.ts';

/** What may be given for a logger: ours, one of Nest's kind, or none, so that losses become process warnings. */
export type LoggerOption = Logger | LoggerService | false;

/** Nest's own by default, which goes where the application's log goes. */
export function loggerOf(given: LoggerOption | undefined): Logger | undefined {
  if (given === false) return undefined;
  return adapted(given ?? new NestLogger('holdfast'));
}

/** Nest says `log` for what others call `info`, and a logger of its kind need not have `debug`. */
function adapted(logger: Logger | LoggerService): Logger {
  if (!('log' in logger) || 'info' in logger) return logger as Logger;
  return {
    debug: (message) => logger.debug?.(message),
    info: (message) => void logger.log(message),
    warn: (message) => void logger.warn(message),
    error: (message) => void logger.error(message),
  };
}
