import type { Cursor, Revision } from '../../contract/backend.ts';
import { refused } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { removeRecord } from './remove-record.ts';
import { type Attempt, type Contention, MAX_ROUNDS } from './strategy.ts';

/** What was last seen at the key, and when. */
interface Seen {
  readonly revision: Revision | undefined;
  readonly at: Cursor;
}

/**
 * Everyone goes for one record: Consul, compatible with Go's `api.Lock` and `consul lock`.
 *
 * An attempt is always conditioned on what was seen (absent, or untouched since), never a bare acquire: Consul would
 * take over a record with foreign flags and overwrite them. A losing attempt costs a consensus write, so one is
 * made only when the key was not seen to be taken.
 */
export const race: Contention<Seen> = {
  record: (path) => path,

  async attempt(lock, last, signal) {
    // Without knowledge we bet on a free key: uncontended, that is one round trip.
    let revision = last?.revision;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { key, path, session } = lock;
      const result = await lock.backend.commit(
        {
          when: [revision === undefined ? { key: path, is: 'absent' } : { key: path, revision }],
          then: [{ put: path, value: lock.value(), session }],
        },
        signal,
      );
      if (result.ok) return acquired(path, session, result.revision);
      if (result.why === 'session-gone') return { outcome: 'session-gone' };
      if (result.why === 'delayed') return { outcome: 'delayed', retryAfter: result.retryAfter };

      const { records, at } = await lock.backend.query({ key: path }, { signal });
      const record = records[0];
      const seen = { revision: record?.revision, at };
      if (record?.session === session) {
        // An earlier attempt of this session had no answer, and did succeed.
        if (record.foreign === undefined) return acquired(path, session, record.revision);
        // Ours, but overwritten by somebody: take it away and start over.
        await removeRecord(lock, record, signal);
        revision = undefined;
      } else if (record?.foreign !== undefined) {
        const what = `${quoteKey(key)} holds ${record.foreign}, which is not a lock of this kind`;
        const error = refused('foreign-record', `key ${what}; it was left untouched`);
        return { outcome: 'foreign', error, place: seen };
      } else if (record?.session !== undefined) {
        return { outcome: 'occupied', place: seen };
      } else {
        revision = record?.revision;
      }
    }
    return { outcome: 'delayed', retryAfter: 0 };
  },

  async wait(lock, last, signal) {
    let since = last.at;
    for (;;) {
      const options = { signal, since, wait: lock.wait };
      const { records, at } = await lock.backend.query({ key: lock.path }, options);
      const record = records[0];
      const free = record === undefined || (record.session === undefined && record.foreign === undefined);
      // One of our own is a request that took effect late. It must be found, and not be written over.
      if (free || record.session === lock.session) {
        return { revision: free ? record?.revision : undefined, at };
      }
      since = at;
    }
  },

  async remove(lock, holding, signal) {
    if (holding !== undefined && (await removeRecord(lock, { key: holding.record, ...holding }, signal)))
      return;
    for (;;) {
      const { records } = await lock.backend.query({ key: lock.path }, { signal });
      const record = records[0];
      if (record?.session !== lock.session || (await removeRecord(lock, record, signal))) return;
    }
  },
};

function acquired(record: string, session: string, revision: Revision): Attempt<Seen> {
  return { outcome: 'acquired', holding: { record, session, revision, token: revision } };
}
