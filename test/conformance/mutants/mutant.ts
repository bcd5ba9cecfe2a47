import { MemoryStore, memory } from 'holdfast/memory';
import type { ConformanceClientOptions } from 'holdfast/testing';
import type { Backend, StoredRecord } from '../../../src/contract/backend.ts';
import { type Verbs, withVerbs } from '../../with-verbs.ts';

/** A way to be wrong. */
export interface Mutant {
  readonly name: string;
  /** Cases of the suite that must each notice. */
  readonly caughtBy: readonly string[];
  /** Makes a store, and returns how its clients are opened. */
  server(): (options: ConformanceClientOptions) => Backend;
  /** The same where nothing is wrong with it. Default: memory, with the same contention. */
  right?(): (options: ConformanceClientOptions) => Backend;
}

/** A memory backend with some verbs replaced. What they remember is shared by the clients of one store. */
export function wrapped(replace: () => (backend: Backend) => Verbs, contention: 'queue' | 'race' = 'queue') {
  return () => {
    const store = new MemoryStore({ contention });
    const verbsOf = replace();
    return () => {
      const backend = memory({ store });
      return withVerbs(backend, verbsOf(backend));
    };
  };
}

/** Records shown otherwise than they are. */
export function seen(show: (record: StoredRecord) => StoredRecord) {
  return (backend: Backend): Verbs => ({
    async query(scope, options) {
      const { records, at } = await backend.query(scope, options);
      return { records: records.map(show), at };
    },
  });
}

/** Values stored otherwise than they were given. */
export function stored(alter: (value: Uint8Array) => Uint8Array) {
  return (backend: Backend): Verbs => ({
    commit: (commit, signal) =>
      backend.commit(
        {
          ...commit,
          then: commit.then.map((mutation) =>
            mutation.put !== undefined ? { ...mutation, value: alter(mutation.value) } : mutation,
          ),
        },
        signal,
      ),
  });
}
