import type { Condition, Mutation, Revision, Scope, StoredRecord } from '../../contract/backend.ts';
import { refused, type SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { wasRefused } from '../../contract/retry.ts';
import { Farewell, type FarewellEnd } from './farewell.ts';
import { removeRecord } from './remove-record.ts';
import { type Attempt, type Contention, type Holding, type LockContext, MAX_ROUNDS } from './strategy.ts';

/** What is committed together with the record of a claim. */
export interface ClaimTerms {
  readonly when: readonly Condition[];
  readonly then: readonly Mutation[];
  readonly read?: Scope;
}

/** One claim, and what is known of its requests. An attempt of an earlier one may yet be under way: it changes only its own. */
interface Bid {
  readonly terms: ClaimTerms;
  /** A request of an earlier claim may yet come through: a record in our name says nothing about what this one writes with it. */
  readonly suspect: boolean;
  /** A request of this claim may have made the record, with all that goes with it. */
  possible: boolean;
  /** The revision at which one is known to have made it. */
  made: Revision | undefined;
  /** What was read with the record. */
  seen: readonly StoredRecord[] | undefined;
}

const NOWHERE = {};

/**
 * One record that is raced for outside of the paths of locks, on any store, and what is written with it: in the commit that makes
 * the record, and in the one that removes it. One for each key, since the requests of one claim may come through during the next.
 */
export class ClaimRace implements Contention {
  #bid: Bid = bid({ when: [], then: [] }, false);
  #farewell = new Farewell([]);

  /** @param suspect whether requests of an earlier claim to this key may still be on their way. */
  begin(terms: ClaimTerms, suspect: boolean): void {
    this.#bid = bid(terms, suspect);
    this.#farewell = new Farewell([]);
  }

  /** To be written in the commit that removes the record. */
  partWith(then: readonly Mutation[]): void {
    this.#farewell = new Farewell(then);
  }

  get terms(): ClaimTerms {
    return this.#bid.terms;
  }

  get seen(): readonly StoredRecord[] {
    return this.#bid.seen ?? [];
  }

  /** Whether something may have been written with a record, although this one does not have it. */
  get unsure(): boolean {
    return this.#bid.possible && this.#bid.terms.then.length > 0;
  }

  /** What is known of what was to be written with the removal. It is not tried any more after that. */
  tellFarewell(): FarewellEnd {
    return this.#farewell.tell();
  }

  record(path: string): string {
    return path;
  }

  async attempt(lock: LockContext, _place: object | undefined, signal: AbortSignal): Promise<Attempt> {
    const { backend, path, session } = lock;
    const asked = this.#bid;
    const { when, then, read } = asked.terms;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const result = await surely(asked, () =>
        backend.commit(
          {
            when: [{ key: path, is: 'absent' }, ...when],
            then: [{ put: path, value: lock.value(), session }, ...then],
            ...(read ? { read } : {}),
          },
          signal,
        ),
      );
      if (result.ok) return made(asked, lock, result.revision, result.read);
      if (result.why === 'session-gone') return { outcome: 'session-gone' };
      if (result.why === 'delayed') return { outcome: 'delayed', retryAfter: result.retryAfter };

      const { records } = await backend.query({ key: path }, { signal });
      const record = records[0];
      // Not there: what else it was conditioned on does not hold, or it went just now.
      if (record === undefined) return { outcome: 'occupied', place: NOWHERE };
      if (record.session === undefined || (record.foreign !== undefined && record.session !== session)) {
        return { outcome: 'foreign', error: foreign(lock, record), place: NOWHERE };
      }
      if (record.session !== session) return { outcome: 'occupied', place: NOWHERE };
      const { revision } = record;
      if (record.foreign === undefined && (revision === asked.made || !asked.suspect)) {
        // A request of this claim did succeed, with all that was written with it, though its answer was lost or in doubt.
        const seen = read && (await backend.query(read, { signal })).records;
        return made(asked, lock, revision, seen);
      }
      // Nobody can tell whose it is: it may be of this claim, and then something was written.
      asked.possible = true;
      await removeRecord(lock, record, signal);
    }
    return { outcome: 'delayed', retryAfter: 0 };
  }

  /** Nobody waits for a claim: who does not get it is told so. */
  wait(_lock: LockContext, place: object): Promise<object> {
    return Promise.resolve(place);
  }

  async remove(lock: LockContext, holding: Holding | undefined, signal: AbortSignal): Promise<void> {
    if (holding !== undefined && (await this.#farewell.part(lock, holding, signal))) return;
    const { possible, suspect } = this.#bid;
    if (holding === undefined && !possible && !suspect) return;
    for (;;) {
      const { records } = await lock.backend.query({ key: lock.path }, { signal });
      const record = records[0];
      if (record?.session !== lock.session || (await removeRecord(lock, record, signal))) return;
    }
  }
}

function bid(terms: ClaimTerms, suspect: boolean): Bid {
  return { terms, suspect, possible: false, made: undefined, seen: undefined };
}

async function surely<T>(asked: Bid, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    if (!wasRefused(error)) asked.possible = true;
    throw error;
  }
}

/** It may be found out too late for who has asked: then it stands there, and is to be removed. */
function made(
  asked: Bid,
  { path, session }: LockContext,
  revision: Revision,
  seen: readonly StoredRecord[] | undefined,
): Attempt {
  asked.possible = true;
  asked.made = revision;
  asked.seen = seen;
  return { outcome: 'acquired', holding: { record: path, session, revision, token: revision } };
}

function foreign({ key }: LockContext, { foreign: kind }: StoredRecord): SyncError {
  const what = kind ?? 'a record without a session';
  return refused(
    'foreign-record',
    `key ${quoteKey(key)} holds ${what}, which is no claim; it was left untouched`,
  );
}
