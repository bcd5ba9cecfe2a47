import type { StoredRecord } from '../../contract/backend.ts';
import { REFUSED, SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { removeRecord } from './remove-record.ts';
import { type Attempt, type Contention, MAX_ROUNDS, type Place } from './strategy.ts';

/**
 * Everyone goes for one record: Consul, compatible with Go's `api.Lock` and `consul lock`.
 *
 * An attempt is always conditioned on what was seen (absent, or untouched since), never a bare acquire: Consul would
 * take over a record with foreign flags and overwrite them. A losing attempt costs a consensus write, so one is
 * made only when the key was not seen to be taken.
 */
export const race: Contention = {
  record: (path) => path,

  async attempt(contest, place, signal) {
    // Without knowledge we bet on a free key: uncontended, that is one round trip.
    let revision = place?.seen?.revision;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { key, path, session } = contest;
      const result = await contest.backend.commit(
        {
          when: [revision === undefined ? { key: path, is: 'absent' } : { key: path, revision }],
          then: [{ put: path, value: contest.value(), session }],
        },
        signal,
      );
      if (result.ok) {
        const holding = { record: path, session, revision: result.revision, token: result.revision };
        return { outcome: 'acquired', holding };
      }
      if (result.why === 'session-gone') return { outcome: 'session-gone' };
      if (result.why === 'delayed') return { outcome: 'delayed', retryAfter: result.retryAfter };

      const { records, at } = await contest.backend.query({ key: path }, { signal });
      const record = records[0];
      const seen: Place = { seen: { revision: record?.revision, at } };
      if (record?.session === session) {
        if (record.foreign === undefined) return acquiredBefore(record, session);
        // Ours, but overwritten by somebody: take it away and start over.
        await removeRecord(contest, record, signal);
        revision = undefined;
      } else if (record?.foreign !== undefined) {
        const what = `${quoteKey(key)} holds ${record.foreign}, which is not a lock of this kind`;
        const error = new SyncError('foreign-record', `key ${what}; it was left untouched`, REFUSED);
        return { outcome: 'foreign', error, place: seen };
      } else if (record?.session !== undefined) {
        return { outcome: 'occupied', place: seen };
      } else {
        revision = record?.revision;
      }
    }
    return { outcome: 'delayed', retryAfter: 0 };
  },

  async wait(contest, place, signal) {
    let since = place.seen?.at;
    for (;;) {
      const options = since === undefined ? { signal } : { signal, since, wait: contest.wait };
      const { records, at } = await contest.backend.query({ key: contest.path }, options);
      const record = records[0];
      const free = record === undefined || (record.session === undefined && record.foreign === undefined);
      // One of our own is a request that took effect late. It must be found, and not be written over.
      if (free || record.session === contest.session) {
        return { seen: { revision: free ? record?.revision : undefined, at } };
      }
      since = at;
    }
  },

  async remove(contest, holding, signal) {
    if (holding !== undefined && (await removeRecord(contest, { key: holding.record, ...holding }, signal)))
      return;
    for (;;) {
      const { records } = await contest.backend.query({ key: contest.path }, { signal });
      const record = records[0];
      if (record?.session !== contest.session || (await removeRecord(contest, record, signal))) return;
    }
  },
};

/** An earlier attempt of this session had no answer, and did succeed. */
function acquiredBefore(record: StoredRecord, session: string): Attempt {
  const { key, revision } = record;
  return { outcome: 'acquired', holding: { record: key, session, revision, token: revision } };
}
