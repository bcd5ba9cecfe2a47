/** How far callers of one process may pass a lock on among themselves before others get their turn. */
export interface HandOffLimits {
  /** Hand-offs in a row. */
  readonly limit: number;
  /** Milliseconds since the lock was acquired from the store. */
  readonly within: number;
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

/**
 * What becomes of it: handed on to the next in line here, or released, to be asked for again at once if anybody waits. `yield`: not
 * at once. Where everyone goes for one record, who gives it back and takes it again at once leaves nobody else a chance.
 */
export function afterTurn(over: TurnOver, { limit, within }: HandOffLimits): 'hand-on' | 'release' | 'yield' {
  if (over.waiting === 0) return 'release';
  // A write of the one before, still on its way, would pass for one of the next: the store sees the same record.
  if (over.believed && !over.unsure && over.handOffs < limit && over.heldFor < within) return 'hand-on';
  return over.races && over.handOffs > 0 ? 'yield' : 'release';
}
