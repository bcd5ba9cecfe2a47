import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, Commit, CommitResult, Mutation, Scope } from '../../../src/contract/backend.ts';
import { SyncError } from '../../../src/contract/errors.ts';
import { type Mutant, wrapped } from './mutant.ts';

export const commitMutants: readonly Mutant[] = [
  {
    name: 'a commit leaves its listener on the signal',
    caughtBy: ['a call that has ended leaves no listener on its signal'],
    server: wrapped(() => (backend) => ({
      commit(commit, signal) {
        signal.addEventListener('abort', () => undefined);
        return backend.commit(commit, signal);
      },
    })),
  },
  {
    name: 'conditions are ignored',
    caughtBy: [
      '`absent` holds for a key without a record only',
      'of two clients that race for an absent key exactly one wins',
      'a revision holds until the record is changed, removed or made anew',
    ],
    server: wrapped(() => (backend) => ({
      commit: (commit, signal) => backend.commit({ ...commit, when: [] }, signal),
    })),
  },
  {
    name: 'a commit is applied one mutation at a time',
    caughtBy: [
      'a mutation that the server refuses keeps the others from being applied',
      'nobody sees half a commit',
    ],
    server: wrapped(() => (backend) => ({ commit: (commit, signal) => piecemeal(backend, commit, signal) })),
  },
  {
    name: 'a record that is moved is gone for a moment',
    caughtBy: [
      'one that conditions on or reads what another issued with it writes sees it before or after, whole',
    ],
    server: wrapped(() => (backend) => ({
      async commit(commit, signal) {
        const removals = commit.then.filter((mutation) => mutation.remove !== undefined);
        if (removals.length === 0 || removals.length === commit.then.length) {
          return backend.commit(commit, signal);
        }
        const removed = await backend.commit({ ...commit, then: removals }, signal);
        if (!removed.ok) return removed;
        await sleep(5);
        const puts = commit.then.filter((mutation) => mutation.put !== undefined);
        return backend.commit({ when: [], then: puts }, signal);
      },
    })),
  },
  {
    name: 'one who gives up ends the commits of all',
    caughtBy: ['one of them that is given up takes nobody along'],
    server: wrapped(() => {
      const others = new Set<(reason: unknown) => void>();
      return (backend) => ({
        commit: (commit, signal) =>
          new Promise((resolve, reject) => {
            others.add(reject);
            const end = (): void => {
              for (const give of others) give(signal.reason);
            };
            signal.addEventListener('abort', end, { once: true });
            const done = (): void => {
              others.delete(reject);
              signal.removeEventListener('abort', end);
            };
            sleep(1)
              .then(() => backend.commit(commit, signal))
              .then(resolve, reject)
              .finally(done);
          }),
      });
    }),
  },
  {
    name: 'the read of a commit is of before it',
    caughtBy: ['`read` is of the same step, after the mutations when they were applied'],
    server: wrapped(() => (backend) => ({
      async commit({ read, ...commit }, signal) {
        const before = read && (await backend.query(read, { signal }));
        const result = await backend.commit(commit, signal);
        return before === undefined ? result : { ...result, read: before.records };
      },
    })),
  },
  {
    name: 'a commit counts what was there before it',
    caughtBy: [
      '`count` is of the same step, after the mutations, and told when they were applied',
      'of those that enter one queue together, each counts those that came before it',
    ],
    server: wrapped(() => (backend) => ({
      async commit(commit, signal) {
        if (commit.count === undefined) return backend.commit(commit, signal);
        const { records } = await backend.query({ prefix: commit.count }, { signal });
        const result = await backend.commit(commit, signal);
        return result.ok ? { ...result, count: records.length + 1 } : result;
      },
    })),
  },
  {
    name: 'removing what is not there is refused',
    caughtBy: ['removing what is not there is no error'],
    server: wrapped(() => (backend) => ({
      async commit(commit, signal) {
        for (const mutation of commit.then) {
          if (mutation.put !== undefined) continue;
          const { records } = await backend.query({ key: mutation.remove }, { signal });
          if (records.length === 0) return { ok: false, why: 'conflict' };
        }
        return backend.commit(commit, signal);
      },
    })),
  },
  {
    name: 'of two things in one mutation the removal is done',
    caughtBy: [
      'what can be read in two ways, or in none, is refused as invalid-option, and nothing of it is done',
    ],
    server: wrapped(() => (backend) => ({
      commit(commit, signal) {
        const then = commit.then.map((each) => (each?.remove ? { remove: each.remove } : each));
        return backend.commit({ ...commit, then }, signal);
      },
    })),
  },
  {
    name: 'of two kinds of scope the key counts',
    caughtBy: [
      'what can be read in two ways, or in none, is refused as invalid-option, and nothing of it is done',
    ],
    server: wrapped(() => (backend) => ({
      query: ({ key, ...scope }, options) =>
        backend.query(key === undefined ? (scope as Scope) : { key }, options),
    })),
  },
  {
    name: 'a member counts although it is undefined',
    caughtBy: ['a member that is undefined is no member'],
    server: wrapped(() => (backend) => ({
      commit(commit, signal) {
        const then = commit.then.map((each) => (each && 'remove' in each ? { remove: each.remove } : each));
        return backend.commit({ ...commit, then: then as readonly Mutation[] }, signal);
      },
    })),
  },
  {
    name: 'a commit of too many operations is applied in parts',
    caughtBy: [
      'as many operations as the trait says are taken; one more is refused as invalid-option, and nothing of it is done',
    ],
    server: wrapped(() => (backend) => ({
      commit: (commit, signal) =>
        commit.then.length > backend.traits.maxOperations
          ? piecemeal(backend, commit, signal)
          : backend.commit(commit, signal),
    })),
  },
  {
    name: 'fewer operations fit than the trait says',
    caughtBy: [
      'as many operations as the trait says are taken; one more is refused as invalid-option, and nothing of it is done',
    ],
    server: wrapped(() => (backend) => ({
      async commit(commit, signal) {
        const { when, then } = commit;
        if (when.length + then.length >= backend.traits.maxOperations) throw new SyncError('rejected', 'No.');
        return backend.commit(commit, signal);
      },
    })),
  },
  {
    name: 'the read of a commit knows no bounded scope',
    caughtBy: ['`read` takes every scope'],
    server: wrapped(() => (backend) => ({
      commit(commit, signal) {
        const { when, then, read } = commit;
        if (read === undefined) return backend.commit(commit, signal);
        return backend.commit(
          { when, then, read: read.prefix !== undefined ? { prefix: read.prefix } : read },
          signal,
        );
      },
    })),
  },
];

async function piecemeal(backend: Backend, commit: Commit, signal: AbortSignal): Promise<CommitResult> {
  let result = await backend.commit({ ...commit, then: commit.then.slice(0, 1) }, signal);
  for (const mutation of commit.then.slice(1)) {
    if (!result.ok) return result;
    await sleep(1);
    result = await backend.commit({ ...commit, when: [], then: [mutation] }, signal);
  }
  return result;
}
