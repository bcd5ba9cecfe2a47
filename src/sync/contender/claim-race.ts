import type { Condition, Mutation, Revision, Scope, StoredRecord } from '../../contract/backend.ts';
import { refused, type SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { isLasting, wasRefused } from '../../contract/retry.ts';
import { removeRecord } from './remove-record.ts';
import { type Attempt, type Contention, type Holding, type LockContext, MAX_ROUNDS } from './strategy.ts';

/** What is committed together with the record of a claim. */
export interface ClaimTerms {
  readonly when: readonly Condition[];
  readonly then: readonly Mutation[];
  readonly read?: Scope;
}

const NONE: ClaimTerms = { when: [], then: [] };
const NOWHERE = {};

/**
 * One record that is raced for outside of the paths of locks, on any store, and what is written with it: in the commit that makes
 * the record, and in the one that removes it. One for each key, since the requests of one claim may come through during the next.
 */
export class ClaimRace implements Contention {
  #terms = NONE;
  #farewell: readonly Mutation[] = [];
  /** A request of this claim had no answer: the record may be its. */
  #unsure = false;
  /** A request of an earlier claim may yet come through: a record in our name says nothing about what this one writes with it. */
  #suspect = false;
  #farewellUnsure = false;
  /** What was read with the record. */
  seen: readonly StoredRecord[] | undefined;
  /** What became of what was to be written with the removal. `lost`: the record was not ours any more, and nothing was written. */
  parted: 'written' | 'lost' | 'unknown' | SyncError | undefined;

  /** @param suspect whether requests of an earlier claim to this key may still be on their way. */
  begin(terms: ClaimTerms, suspect: boolean): void {
    this.#terms = terms;
    this.#farewell = [];
    this.#unsure = false;
    this.#suspect = suspect;
    this.#farewellUnsure = false;
    this.seen = undefined;
    this.parted = undefined;
  }

  /** To be written in the commit that removes the record. */
  partWith(then: readonly Mutation[]): void {
    this.#farewell = then;
  }

  record(path: string): string {
    return path;
  }

  async attempt(lock: LockContext, _place: object | undefined, signal: AbortSignal): Promise<Attempt> {
    const { backend, path, session } = lock;
    const { when, then, read } = this.#terms;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const result = await this.#surely(() =>
        backend.commit(
          {
            when: [{ key: path, is: 'absent' }, ...when],
            then: [{ put: path, value: lock.value(), session }, ...then],
            ...(read ? { read } : {}),
          },
          signal,
        ),
      );
      if (result.ok) {
        this.seen = result.read;
        return acquired(lock, result.revision);
      }
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
      if (this.#unsure && !this.#suspect && record.foreign === undefined) {
        // The request that had no answer did succeed, with all that was written with it.
        if (read !== undefined) this.seen = (await backend.query(read, { signal })).records;
        return acquired(lock, record.revision);
      }
      await removeRecord(lock, record, signal);
    }
    return { outcome: 'delayed', retryAfter: 0 };
  }

  /** Nobody waits for a claim: who does not get it is told so. */
  wait(_lock: LockContext, place: object): Promise<object> {
    return Promise.resolve(place);
  }

  async remove(lock: LockContext, holding: Holding | undefined, signal: AbortSignal): Promise<void> {
    if (holding !== undefined && (await this.#part(lock, holding, signal))) return;
    if (holding === undefined && !this.#unsure) return;
    for (;;) {
      const { records } = await lock.backend.query({ key: lock.path }, { signal });
      const record = records[0];
      if (record?.session !== lock.session || (await removeRecord(lock, record, signal))) return;
    }
  }

  /** Whether the record is known to be gone with it. */
  async #part(lock: LockContext, holding: Holding, signal: AbortSignal): Promise<boolean> {
    const { record: key, revision } = holding;
    const then = this.parted === undefined ? this.#farewell : [];
    if (then.length === 0) return await removeRecord(lock, { key, revision }, signal);
    try {
      const farewell = { when: [{ key, revision }], then: [{ remove: key }, ...then] };
      const { ok } = await lock.backend.commit(farewell, signal);
      this.parted = ok ? 'written' : this.#farewellUnsure ? 'unknown' : 'lost';
      return ok;
    } catch (error) {
      if (!wasRefused(error)) this.#farewellUnsure = true;
      else if (isLasting(error)) {
        // What cannot be written must not keep the record there.
        this.parted = error;
        return await removeRecord(lock, { key, revision }, signal);
      }
      throw error;
    }
  }

  /** What is known when nothing more is tried. */
  get farewell(): Exclude<ClaimRace['parted'], undefined> {
    if (this.parted !== undefined) return this.parted;
    return this.#farewellUnsure ? 'unknown' : 'lost';
  }

  async #surely<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      if (!wasRefused(error)) this.#unsure = true;
      throw error;
    }
  }
}

function acquired({ path, session }: LockContext, revision: Revision): Attempt {
  return { outcome: 'acquired', holding: { record: path, session, revision, token: revision } };
}

function foreign({ key }: LockContext, { foreign: kind }: StoredRecord): SyncError {
  const what = kind ?? 'a record without a session';
  return refused(
    'foreign-record',
    `key ${quoteKey(key)} holds ${what}, which is no claim; it was left untouched`,
  );
}
