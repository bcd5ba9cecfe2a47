import type { SyncError } from '../../contract/errors.ts';
import type { Session, SessionEnd } from '../session/session.ts';
import type { Attempt, Holding, Place, RecordLoss } from './strategy.ts';

/** Why a held lock was lost. See `SessionEnd` for the first four. `max-hold`: it was held for longer than its option allows. */
export type LossReason = SessionEnd | RecordLoss | 'max-hold';

/**
 * Where one lock stands. Every variant has the data that only it has, and every transition makes a new object: the
 * object is the epoch. Work that was started for one state reports back with that state, and is ignored when it is
 * no longer the current one.
 */
export type LockState =
  /** Nobody here wants the lock. */
  | { readonly name: 'idle' }
  /** An attempt is under way; without a session, one is being opened. */
  | {
      readonly name: 'seeking';
      readonly session: Session | undefined;
      readonly place: Place | undefined;
      readonly failures: number;
    }
  /** Blocked until it is our turn, or for `pause` milliseconds. */
  | {
      readonly name: 'waiting';
      readonly session: Session;
      readonly place: Place | undefined;
      readonly pause: number | undefined;
      readonly failures: number;
    }
  | { readonly name: 'held'; readonly session: Session; readonly holding: Holding }
  /** Told to the holder; the claim stands, and is resumed after the listeners have run. */
  | { readonly name: 'lost'; readonly session: Session | undefined; readonly reason: LossReason }
  /** Removing what may stand at the store in our name. */
  | {
      readonly name: 'releasing';
      readonly session: Session;
      readonly holding: Holding | undefined;
    }
  | { readonly name: 'stopped' };

export type LockEvent =
  | { readonly type: 'claim'; readonly session: Session | undefined }
  | { readonly type: 'release' }
  | { readonly type: 'session-live'; readonly session: Session }
  | { readonly type: 'session-ended'; readonly session: Session; readonly reason: SessionEnd }
  /** `trusted`: whether the session may be believed in now, after the answer has come. */
  | {
      readonly type: 'attempted';
      readonly of: LockState;
      readonly result: Attempt;
      readonly trusted: boolean;
    }
  /** Work rejected; `pause` is how long to wait before the next try, in milliseconds. */
  | { readonly type: 'failed'; readonly of: LockState; readonly pause: number }
  | { readonly type: 'woke'; readonly of: LockState; readonly place: Place | undefined }
  | { readonly type: 'observed'; readonly of: LockState; readonly reason: RecordLoss }
  | { readonly type: 'removed'; readonly of: LockState }
  | { readonly type: 'resume'; readonly of: LockState }
  /** Something stands at the store in our name though nobody here wants the lock. */
  | { readonly type: 'leftover'; readonly of: LockState; readonly session: Session }
  | { readonly type: 'stop' };

/** What becomes of a lock, for whoever wants it. Told after the new state is committed. */
export type Notice =
  | { readonly tell: 'moved'; readonly state: LockState }
  | { readonly tell: 'granted'; readonly session: Session; readonly holding: Holding }
  /** The session of the held lock is in doubt, and being verified. */
  | { readonly tell: 'doubted' }
  /** It has been verified. */
  | { readonly tell: 'reconfirmed' }
  | { readonly tell: 'lost'; readonly reason: LossReason }
  /** Not to be had at the moment: somebody else holds, or the server holds the key back. */
  | { readonly tell: 'occupied' }
  | { readonly tell: 'refused'; readonly error: SyncError }
  /** Something failed, of the lock or of the session that it needs, and is being tried again. */
  | { readonly tell: 'failed'; readonly error: unknown; readonly source: 'session' | 'lock' }
  /** The record of this holding is known to be gone. */
  | { readonly tell: 'removed'; readonly holding: Holding }
  /** Nothing of ours is left at the store, or the session that owned it has ended. */
  | { readonly tell: 'released' };

export interface Step {
  readonly state: LockState;
  /** In this order. That the session is gone is for its keeper. */
  readonly notices: readonly (Notice | { readonly tell: 'session-gone'; readonly session: Session })[];
}

/** Milliseconds after which to look again if a session that was in doubt is neither verified nor ended by then. */
const DOUBT_PAUSE = 1_000;

const IDLE: LockState = { name: 'idle' };

/**
 * The one lock state machine of this library, for all backends and both ways to contend. Pure: it knows neither time
 * nor I/O. The contender does for each state what that state calls for.
 *
 * @param wanted whether somebody here wants the lock at this moment.
 */
export function step(state: LockState, event: LockEvent, wanted: boolean): Step {
  // A stale continuation: it belongs to a state that is over.
  if ('of' in event && event.of !== state) return stay(state);
  // Whoever waits for a release must not wait for ever.
  if (event.type === 'stop') return { state: { name: 'stopped' }, notices: [{ tell: 'released' }] };
  switch (state.name) {
    case 'idle':
      if (event.type === 'claim') return seek(event.session);
      if (event.type === 'leftover') return release(event.session, undefined);
      if (event.type === 'release') return { state, notices: [{ tell: 'released' }] };
      return stay(state);
    case 'seeking':
      return whileSeeking(state, event);
    case 'waiting':
      return whileWaiting(state, event);
    case 'held':
      if (event.type === 'observed') return lose(state.session, event.reason);
      if (event.type === 'release') return release(state.session, state.holding);
      // Lost first, and only then waiting for the next session.
      if (ends(event, state.session)) return lose(undefined, event.reason);
      return stay(state);
    case 'lost':
      return whileLost(state, event, wanted);
    case 'releasing':
      if (event.type === 'removed') return afterRelease(wanted, state.session);
      // Refused: it goes on being tried, but nobody has to wait for that.
      if (event.type === 'failed') return { state, notices: [{ tell: 'released' }] };
      // What an ended session owned goes with it: the keeper closes it, or its TTL does.
      if (ends(event, state.session)) return afterRelease(wanted, undefined);
      return stay(state);
    case 'stopped':
      return event.type === 'release' ? { state, notices: [{ tell: 'released' }] } : stay(state);
  }
}

type In<Name extends LockState['name']> = Extract<LockState, { name: Name }>;

function whileSeeking(state: In<'seeking'>, event: LockEvent): Step {
  const { session } = state;
  if (session === undefined) {
    if (event.type === 'session-live') return seek(event.session);
    if (event.type === 'release') return { state: IDLE, notices: [{ tell: 'released' }] };
    return stay(state);
  }
  if (ends(event, session)) return seek(undefined);
  if (event.type === 'release') return release(session, undefined);
  if (event.type === 'failed') return retry(session, state.place, event.pause, state.failures + 1);
  if (event.type !== 'attempted') return stay(state);

  const { result } = event;
  switch (result.outcome) {
    case 'acquired':
      // The answer may have come after the deadline, or after the machine slept: then it is worth nothing yet.
      if (!event.trusted) return retry(session, undefined, DOUBT_PAUSE, state.failures);
      return {
        state: { name: 'held', session, holding: result.holding },
        notices: [{ tell: 'granted', session, holding: result.holding }],
      };
    case 'occupied':
      return wait(session, result.place, { tell: 'occupied' });
    case 'foreign':
      return wait(session, result.place, { tell: 'refused', error: result.error });
    case 'delayed':
      return {
        state: { name: 'waiting', session, place: undefined, pause: result.retryAfter, failures: 0 },
        notices: [{ tell: 'occupied' }],
      };
    case 'session-gone':
      return { state: seek(undefined).state, notices: [{ tell: 'session-gone', session }] };
  }
}

function whileWaiting(state: In<'waiting'>, event: LockEvent): Step {
  const { session } = state;
  if (ends(event, session)) return seek(undefined);
  if (event.type === 'release') return release(session, undefined);
  if (event.type === 'failed') return retry(session, state.place, event.pause, state.failures + 1);
  // The session was in doubt, and has been verified.
  if (event.type === 'session-live' && state.pause !== undefined) {
    return stay({ name: 'seeking', session, place: state.place, failures: state.failures });
  }
  if (event.type !== 'woke') return stay(state);
  return stay({ name: 'seeking', session, place: event.place, failures: state.failures });
}

function whileLost(state: In<'lost'>, event: LockEvent, wanted: boolean): Step {
  const { session, reason } = state;
  if (ends(event, session)) return stay({ name: 'lost', session: undefined, reason });
  if (event.type !== 'resume' && event.type !== 'release') return stay(state);
  // Something still stands in our name, in everybody's way: remove it first. What we held by must not be taken for new.
  const stands = reason !== 'record-gone';
  if (session !== undefined && (stands || !wanted)) return release(session, undefined);
  return afterRelease(wanted, session);
}

function stay(state: LockState): Step {
  return { state, notices: [] };
}

function seek(session: Session | undefined): Step {
  return stay({ name: 'seeking', session, place: undefined, failures: 0 });
}

function retry(session: Session, place: Place | undefined, pause: number, failures: number): Step {
  return stay({ name: 'waiting', session, place, pause, failures });
}

function wait(session: Session, place: Place, notice: Notice): Step {
  return {
    state: { name: 'waiting', session, place, pause: undefined, failures: 0 },
    notices: [notice],
  };
}

function lose(session: Session | undefined, reason: LossReason): Step {
  return { state: { name: 'lost', session, reason }, notices: [{ tell: 'lost', reason }] };
}

function release(session: Session, holding: Holding | undefined): Step {
  return stay({ name: 'releasing', session, holding });
}

function afterRelease(wanted: boolean, session: Session | undefined): Step {
  const { state } = wanted ? seek(session) : stay(IDLE);
  return { state, notices: [{ tell: 'released' }] };
}

function ends(
  event: LockEvent,
  session: Session | undefined,
): event is Extract<LockEvent, { type: 'session-ended' }> {
  return event.type === 'session-ended' && event.session === session;
}
