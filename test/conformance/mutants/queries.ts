import { setTimeout as sleep } from 'node:timers/promises';
import type { StoredRecord } from '../../../src/contract/backend.ts';
import { SyncError } from '../../../src/contract/errors.ts';
import { type Mutant, wrapped } from './mutant.ts';

export const queryMutants: readonly Mutant[] = [
  {
    name: 'the cursor is taken after the read, so that a change in between is missed',
    caughtBy: ['a storm of changes is followed to its last value'],
    server: wrapped(() => (backend) => ({
      async query(scope, options) {
        const { records } = await backend.query(scope, options);
        await sleep(1);
        const { at } = await backend.query(scope, { signal: options.signal });
        return { records, at };
      },
    })),
  },
  {
    name: '`wait` is ignored',
    caughtBy: ['a blocked query ends by its `wait` with what is there'],
    server: wrapped(() => (backend) => ({
      query: (scope, { wait: _, ...options }) => backend.query(scope, options),
    })),
  },
  {
    name: 'a blocked query answers at once, always',
    caughtBy: ['a blocked query is no busy loop while nothing happens'],
    server: wrapped(() => (backend) => ({
      query: (scope, { since: _, ...options }) => backend.query(scope, options),
    })),
  },
  {
    name: 'a blocked query sees what comes, not what came since its cursor',
    caughtBy: [
      'a query does not block when its cursor is older than a put',
      'a query does not block when its cursor is older than the close of a session',
      'a change that was made and undone between the read and the wait hides none that comes later',
    ],
    server: wrapped(() => (backend) => ({
      async query(scope, options) {
        if (options.since === undefined) return backend.query(scope, options);
        const { at } = await backend.query(scope, { signal: options.signal });
        return backend.query(scope, { ...options, since: at });
      },
    })),
  },
  {
    name: 'a change wakes the first who waits alone',
    caughtBy: ['all who wait for one key see the change'],
    server: wrapped(() => {
      let waiting = 0;
      return (backend) => ({
        async query(scope, options) {
          if (options.since === undefined) return backend.query(scope, options);
          const first = waiting++ === 0;
          try {
            const { records, at } = await backend.query(scope, options);
            return first ? { records, at } : await backend.query(scope, { ...options, since: at });
          } finally {
            waiting--;
          }
        },
      });
    }),
  },
  {
    name: 'an overwrite is no change',
    caughtBy: ['a blocked query wakes for an overwrite'],
    server: wrapped(() => (backend) => ({
      async query(scope, options) {
        const { records, at } = await backend.query(scope, options);
        const overwritten = records.some(({ created, revision }) => created !== revision);
        if (options.since !== undefined && overwritten)
          return backend.query(scope, { ...options, since: at });
        return { records, at };
      },
    })),
  },
  {
    name: 'an abort is ignored',
    caughtBy: [
      "a call whose signal is aborted already rejects with the signal's reason",
      "an aborted blocked query rejects at once with its signal's reason",
    ],
    server: wrapped(() => (backend) => ({
      query: (scope, options) => backend.query(scope, { ...options, signal: new AbortController().signal }),
    })),
  },
  {
    name: 'an abort rejects with an error of its own',
    caughtBy: ["an aborted blocked query rejects at once with its signal's reason"],
    server: wrapped(() => (backend) => ({
      query: (scope, options) =>
        backend.query(scope, options).catch((error: unknown) => {
          throw options.signal.aborted ? new Error('aborted') : error;
        }),
    })),
  },
  {
    name: '`youngest` shows the head of the queue',
    caughtBy: ['`youngest` shows the direct predecessor, and as many more as were asked for, youngest first'],
    server: wrapped(() => (backend) => ({
      query: (scope, options) =>
        backend.query(scope.youngest !== undefined ? { prefix: scope.prefix, oldest: 1 } : scope, options),
    })),
  },
  {
    name: 'a queue is in the order of its keys',
    caughtBy: ['`oldest` shows the first by creation in that order, however they were overwritten'],
    server: wrapped(() => (backend) => ({
      async query(scope, options) {
        if (scope.oldest === undefined) return backend.query(scope, options);
        const { records, at } = await backend.query({ prefix: scope.prefix }, options);
        return { records: records.slice(0, scope.oldest), at };
      },
    })),
  },
  {
    name: 'records of one commit stand as they lie',
    caughtBy: [
      'records that one commit made stand in one order, and a bounded scope shows as many of them as it says',
    ],
    server: wrapped(() => (backend) => ({
      async query(scope, options) {
        if (scope.oldest === undefined) return backend.query(scope, options);
        const { records, at } = await backend.query({ prefix: scope.prefix }, options);
        const older = (a: StoredRecord, b: StoredRecord) => Number(a.created - b.created);
        return { records: records.toReversed().sort(older).slice(0, scope.oldest), at };
      },
    })),
  },
  {
    name: 'a bounded scope wakes for the first that it shows alone',
    caughtBy: [
      'a bounded scope that ends among records of one commit wakes for each that it shows, until none is left',
    ],
    server: wrapped(() => (backend) => ({
      async query(scope, options) {
        const { signal } = options;
        const [first] = (await backend.query(scope, { signal })).records;
        const isBounded = scope.oldest !== undefined || scope.youngest !== undefined;
        if (!isBounded || first === undefined) return backend.query(scope, options);
        await backend.query({ key: first.key }, options);
        return backend.query(scope, { signal });
      },
    })),
  },
  {
    name: 'a prefix is a stem',
    caughtBy: ['a prefix that ends with a slash shows what is below it, not siblings with the same stem'],
    server: wrapped(() => (backend) => ({
      query: (scope, options) =>
        backend.query(
          scope.prefix !== undefined ? { ...scope, prefix: scope.prefix.slice(0, -1) } : scope,
          options,
        ),
    })),
  },
  {
    name: 'disposal forgets the queries that are blocked',
    caughtBy: ['disposal rejects the queries that are blocked with `stopped`, of this client alone'],
    server: wrapped(() => () => ({ [Symbol.asyncDispose]: async () => {} })),
  },
  {
    name: 'keys lose what a URL would take from them',
    caughtBy: [
      'a key comes back the same, whatever it is made of',
      'a key that not every store can hold comes back the same, or is refused as invalid-key',
    ],
    server: wrapped(() => (backend) => ({
      query: (scope, options) =>
        backend.query(
          scope.key !== undefined ? { key: new URL(scope.key, 'http://host').pathname.slice(1) } : scope,
          options,
        ),
    })),
  },
  {
    name: 'a key is taken for a prefix',
    caughtBy: ['a key scope shows that key, not those that begin with it'],
    server: wrapped(() => (backend) => ({
      query: (scope, options) =>
        backend.query(scope.key !== undefined ? { prefix: scope.key } : scope, options),
    })),
  },
  {
    name: 'the contenders for a key are right below it, as in etcd’s Go client',
    caughtBy: ['the locks of `k` and of `k/x` do not see each other'],
    server: wrapped(() => () => ({ lockPath: (key) => `${key}/` })),
  },
  {
    name: 'a query without a cursor blocks',
    caughtBy: ['a query without a cursor answers at once, also for what is not there'],
    server: wrapped(() => (backend) => ({
      async query(scope, options) {
        if (options.since !== undefined || options.wait === undefined) return backend.query(scope, options);
        const { at } = await backend.query(scope, { signal: options.signal });
        return backend.query(scope, { ...options, since: at });
      },
    })),
  },
  {
    name: 'disposal twice is an error',
    caughtBy: ['disposal twice is no error'],
    server: wrapped(() => (backend) => {
      let disposed = false;
      return {
        async [Symbol.asyncDispose]() {
          if (disposed) throw new SyncError('stopped', 'Disposed already.');
          disposed = true;
          await backend[Symbol.asyncDispose]();
        },
      };
    }),
  },
];
