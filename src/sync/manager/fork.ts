import { checkNames, type Names } from '../../contract/options.ts';
import type { SessionTiming } from '../session/timing.ts';
import { lent } from './lent.ts';
import type { CheckedOptions, SyncManagerOptions } from './options.ts';

export interface ForkOptions {
  /** Of its own session. Default: as the manager that it comes from. */
  readonly session?: SessionTiming;
}

const FORK: Names<ForkOptions> = { session: true };

/** Those of a manager with a session of its own, over the same backend. Throws `invalid-option`. */
export function forkOptions(own: CheckedOptions, options: ForkOptions): SyncManagerOptions {
  checkNames(options, FORK);
  const { name, prefix, leadershipKey, session, handOff, detectDeadlocks, longHold, clock } = own;
  const { backend, metadata, logger, telemetry } = own;
  return {
    ...{ name, leadershipKey, session, handOff, detectDeadlocks, longHold, clock },
    ...(prefix === '' ? {} : { prefix }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(logger === undefined ? {} : { logger }),
    ...(telemetry === undefined ? {} : { telemetry }),
    ...options,
    backend: lent(backend),
  };
}
