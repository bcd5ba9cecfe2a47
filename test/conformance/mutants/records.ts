import type { Revision, StoredRecord } from '../../../src/contract/backend.ts';
import { type Mutant, seen, stored, wrapped } from './mutant.ts';

export const recordMutants: readonly Mutant[] = [
  {
    name: 'revisions restart when a record is removed',
    caughtBy: ['revisions rise strictly over overwriting, removal and making anew'],
    server: wrapped(() => {
      const restarted = new Map<string, Revision>();
      const shift = (record: StoredRecord): StoredRecord => {
        const base = restarted.get(record.key) ?? 0n;
        return { ...record, created: record.created - base, revision: record.revision - base };
      };
      return (backend) => ({
        async query(scope, options) {
          const { records, at } = await backend.query(scope, options);
          return { records: records.map(shift), at };
        },
        async commit(commit, signal) {
          const result = await backend.commit(commit, signal);
          if (!result.ok) return result;
          let base = 0n;
          for (const mutation of commit.then) {
            if (mutation.remove !== undefined) restarted.set(mutation.remove, result.revision);
            else base = restarted.get(mutation.put) ?? 0n;
          }
          return { ...result, revision: result.revision - base };
        },
      });
    }),
  },
  {
    name: 'a value is stored without a copy',
    caughtBy: ['a value is stored as it was at the commit, and what a query gave is the caller’s'],
    server: wrapped(() => {
      const values = new Map<string, Uint8Array>();
      return (backend) => ({
        async query(scope, options) {
          const { records, at } = await backend.query(scope, options);
          const share = (record: StoredRecord) => ({
            ...record,
            value: values.get(record.key) ?? record.value,
          });
          return { records: records.map(share), at };
        },
        commit(commit, signal) {
          for (const mutation of commit.then)
            if (mutation.put !== undefined) values.set(mutation.put, mutation.value);
          return backend.commit(commit, signal);
        },
      });
    }),
  },
  {
    name: '`created` is the last change',
    caughtBy: [
      'a commit tells the revision of the records it wrote, and `created` stays when one is overwritten',
    ],
    server: wrapped(() => seen((record) => ({ ...record, created: record.revision }))),
  },
  {
    name: 'the owner of a record is not shown',
    caughtBy: ['a record shows the session that owns it'],
    server: wrapped(() => seen((record) => ({ ...record, session: undefined }))),
  },
  {
    name: 'a plain put leaves an owned record as if it were intact',
    caughtBy: ['a plain put on an owned record shows: its owner is gone or it is foreign'],
    server: wrapped(() => seen(({ foreign: _, ...record }) => record), 'race'),
  },
  {
    name: 'values are text',
    caughtBy: ['a value comes back byte for byte, also an empty one'],
    server: wrapped(() => stored((value) => new TextEncoder().encode(new TextDecoder().decode(value)))),
  },
  {
    name: 'of a part of a buffer all is stored',
    caughtBy: ['a part of a larger buffer is stored as that part'],
    server: wrapped(() => stored((value) => new Uint8Array(value.buffer))),
  },
];
