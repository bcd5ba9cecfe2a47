import type { Timer } from '../../async/clock.ts';
import type { Holding } from '../contender/strategy.ts';
import type { Session } from '../session/session.ts';
import type { Grant } from './grant.ts';

/** How far callers of one process may pass a lock on among themselves before others get their turn. */
export interface HandOffLimits {
  /** Hand-offs in a row. */
  readonly limit: number;
  /** Milliseconds since the lock was acquired from the store. */
  readonly within: number;
}

/** Whose turn it is among the callers of this process. */
export type Turn =
  | { readonly name: 'nobody' }
  /** `expiry`: of a grant that has a bound. */
  | {
      readonly name: 'holder';
      readonly grant: Grant;
      readonly since: number;
      readonly expiry: Timer | undefined;
    }
  /** Given back. Neither handed on nor released before its writes have reached the store. */
  | { readonly name: 'given-back'; readonly grant: Grant; readonly writes: Promise<unknown> | undefined }
  /** Released, and to be asked for again when others have had their chance. */
  | { readonly name: 'yielding'; readonly timer: Timer };

/** What the store has granted, until it is known that the record does not stand any more. */
export interface Tenure {
  readonly session: Session;
  readonly holding: Holding;
  readonly since: number;
  handOffs: number;
  /** The last one of it, once there is one. */
  grant: Grant | undefined;
}

/** Where things stand when nobody here holds any more what the store has granted. */
export interface TurnOver {
  /** How many callers of this process wait. */
  readonly waiting: number;
  /** It was given back, and not lost: the record still stands, under a session that is believed in. */
  readonly believed: boolean;
  /** A write under the last grant may still be on its way. */
  readonly unsure: boolean;
  readonly handOffs: number;
  /** Milliseconds since the store granted it. */
  readonly heldFor: number;
  /** Whether everyone goes for one record, or stands in a queue. */
  readonly races: boolean;
}

/** `yield`: released, and not asked for again at once. */
export type Next = 'hand-on' | 'release' | 'yield';

/**
 * What becomes of it: handed on to the next in line here, or released, to be asked for again at once if anybody waits, or not
 * at once. Where everyone goes for one record, who gives it back and takes it again at once leaves nobody else a chance.
 */
export function afterTurn(over: TurnOver, { limit, within }: HandOffLimits): Next {
  if (over.waiting === 0) return 'release';
  // A write of the one before, still on its way, would pass for one of the next: the store sees the same record.
  if (over.believed && !over.unsure && over.handOffs < limit && over.heldFor < within) return 'hand-on';
  return over.races && over.handOffs > 0 ? 'yield' : 'release';
}
