import { MemoryStore, memory } from 'holdfast/memory';
import type { Backend } from '../../../src/contract/backend.ts';
import { SyncError } from '../../../src/contract/errors.ts';
import { type Mutant, wrapped } from './mutant.ts';

export const sessionMutants: readonly Mutant[] = [
  {
    name: 'an owned record survives the end of its session',
    caughtBy: ['owned records go when their session is closed, others stay'],
    server: wrapped(() => {
      const owners = new Map<string, string>();
      return (backend) => ({
        async query(scope, options) {
          const { records, at } = await backend.query(scope, options);
          return { records: records.map((record) => ({ ...record, session: owners.get(record.key) })), at };
        },
        commit(commit, signal) {
          const plain = commit.then.map((mutation) => {
            if (mutation.remove !== undefined) return mutation;
            if (mutation.session === undefined) owners.delete(mutation.put);
            else owners.set(mutation.put, mutation.session);
            return { put: mutation.put, value: mutation.value };
          });
          return backend.commit({ ...commit, then: plain }, signal);
        },
      });
    }),
  },
  {
    name: 'sessions never expire',
    caughtBy: [
      'owned records go when their session expires, but not before its granted TTL',
      'a blocked query wakes for an expiry',
    ],
    server: () => {
      const store = new MemoryStore({ expiry: 1e9 });
      return () => memory({ store });
    },
  },
  {
    name: 'sessions expire before their TTL',
    caughtBy: ['owned records go when their session expires, but not before its granted TTL'],
    server: wrapped(() => (backend) => ({
      async openSession(options, signal) {
        const { id } = await backend.openSession({ ...options, ttl: options.ttl / 2 }, signal);
        return { id, ttl: options.ttl };
      },
    })),
  },
  {
    name: 'a renewal does not prolong',
    caughtBy: [
      'a renewed session outlives its TTL, and then expires not before a TTL after its last renewal',
    ],
    server: wrapped(() => () => ({ renewSession: async () => 'renewed' })),
  },
  {
    name: 'a commit of a session that is gone is told as a conflict',
    caughtBy: ['after its close a session is gone for renewals and commits'],
    server: wrapped(() => (backend) => ({
      async commit(commit, signal) {
        const result = await backend.commit(commit, signal);
        return !result.ok && result.why === 'session-gone' ? { ...result, why: 'conflict' } : result;
      },
    })),
  },
  {
    name: 'a key that is delayed is told as taken',
    caughtBy: [
      'the key of a session that was closed while owning it is delayed, and can be taken afterwards',
    ],
    server: wrapped(
      () => (backend) => ({
        async commit(commit, signal) {
          const result = await backend.commit(commit, signal);
          return !result.ok && result.why === 'delayed' ? { ok: false, why: 'conflict' } : result;
        },
      }),
      'race',
    ),
  },
  {
    name: 'one session is given to all',
    caughtBy: ['sessions have ids of their own'],
    server: wrapped(() => {
      let only: ReturnType<Backend['openSession']> | undefined;
      return (backend) => ({
        openSession: (options, signal) => (only ??= backend.openSession(options, signal)),
      });
    }),
  },
  {
    name: 'closing a session that is gone is an error',
    caughtBy: ['closing a session twice is no error'],
    server: wrapped(() => (backend) => ({
      async closeSession(id, signal) {
        const state = await backend.renewSession(id, signal);
        if (state === 'gone') throw new SyncError('rejected', 'There is no such session.');
        await backend.closeSession(id, signal);
      },
    })),
  },
  {
    name: 'a lock-delay of 0 is dropped, and the default of the server applies',
    caughtBy: ['a session with a lock-delay of 0 leaves no delay'],
    server: wrapped(
      () => (backend) => ({
        openSession: ({ lockDelay, ...options }, signal) =>
          backend.openSession({ ...options, lockDelay: lockDelay || 15_000 }, signal),
      }),
      'race',
    ),
  },
  {
    name: 'a session is closed while its released keys count as owned',
    caughtBy: ['releasing a key before its session is closed avoids the delay'],
    server: wrapped(
      () => (backend) => ({
        commit: (commit, signal) =>
          backend.commit(
            { ...commit, then: commit.then.filter((mutation) => mutation.put !== undefined) },
            signal,
          ),
      }),
      'race',
    ),
  },
];
