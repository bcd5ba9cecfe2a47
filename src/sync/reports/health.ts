import { isError } from '../../async/realms.ts';
import { isSyncError } from '../../contract/errors.ts';
import type { LockTally } from '../callers/lock.ts';
import type { Session } from '../session/session.ts';
import type { SessionState } from '../session/session-keeper.ts';
import type { ManagerEvents } from './manager-events.ts';

/** How a manager is, at this moment and without asking the store: for readiness probes, as JSON. */
export interface SyncHealth {
  /**
   * Whether locks can be had and believed in, as far as is known: the session is trusted, and nothing that concerns every lock is
   * wrong. `false` before the first session (see `sync.connect()`), from a loss on until there is another, while the server
   * refuses what is asked and nothing is held, for good after `store-reset`, and once the manager was stopped.
   */
  readonly ready: boolean;
  readonly session: SessionState['name'];
  /** Milliseconds for which the session is believed in without another renewal: the distance to the deadline. */
  readonly trustedFor: number;
  /** Locks held. */
  readonly held: number;
  /** Calls that wait for their lock. */
  readonly waiting: number;
  /** Standing claims whose lock is not held, whether or not a call waits for it. */
  readonly standing: number;
  /** Whether this process leads its service. */
  readonly leader: boolean;
  /**
   * Since when `leader$` or an `observe` has not been able to look at the store, by the wall clock in milliseconds. Whom they show
   * is who it was then.
   */
  readonly blindSince: number | undefined;
  /** Why the session cannot be opened or renewed, or why no lock can be had, if that is so. */
  readonly trouble: string | undefined;
}

export interface Observed {
  readonly running: boolean;
  readonly now: number;
  readonly session: Session | undefined;
  /** Scoped ones that wait. */
  readonly calls: number;
  readonly leader: boolean;
  readonly blindSince: number | undefined;
  readonly events: Pick<ManagerEvents, 'held' | 'session' | 'sessionFailure' | 'refusal'>;
  readonly tally: Readonly<LockTally>;
}

export function healthOf({
  running,
  now,
  session,
  calls,
  leader,
  blindSince,
  events,
  tally,
}: Observed): SyncHealth {
  const { held, sessionFailure, refusal } = events;
  const { name: state } = events.session;
  const trusted = running && session?.trusted === true;
  const isRefused = refusal !== undefined && (held === 0 || isSyncError(refusal, 'store-reset'));
  const trouble = sessionFailure ?? (isRefused ? refusal : undefined);
  return {
    ready: trusted && !isRefused,
    session: state,
    trustedFor: trusted ? session.deadline - now : 0,
    held: trusted ? held : 0,
    waiting: calls + tally.calls,
    // All grants are of the one session.
    standing: trusted ? tally.claimed - tally.granted : tally.claimed,
    leader,
    blindSince,
    trouble: isError(trouble) ? trouble.message : undefined,
  };
}
