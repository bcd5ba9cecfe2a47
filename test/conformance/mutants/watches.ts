import type { Backend } from '../../../src/contract/backend.ts';
import type { SyncError } from '../../../src/contract/errors.ts';
import { type Mutant, wrapped } from './mutant.ts';

type Watch = NonNullable<Backend['watch']>;

function watchOf(backend: Backend): Watch {
  if (backend.watch === undefined) throw new TypeError('memory has the verb');
  return backend.watch.bind(backend);
}

const woken = 'watch: wakes once, for a change by another client and for a removal';
const late = 'watch: wakes for what came between the position and the watch';

/** A watch that is wrong in one way. */
function watching(wrong: (watch: Watch, backend: Backend) => Watch): Mutant['server'] {
  return wrapped(() => (backend) => ({ watch: wrong(watchOf(backend), backend) }));
}

export const watchMutants: readonly Mutant[] = [
  { name: 'a watch is never woken', caughtBy: [woken, late], server: watching(() => () => () => {}) },
  {
    name: 'a watch sees what comes, not what came since its position',
    caughtBy: [late],
    server: watching((watch, backend) => (key, _, wake) => {
      let cancel = (): void => {};
      const { signal } = new AbortController();
      const place = (at: string): void => {
        cancel = watch(key, at, wake);
      };
      backend.query({ key }, { signal }).then(
        ({ at }) => place(at),
        () => undefined,
      );
      return () => cancel();
    }),
  },
  {
    name: 'a watch wakes before it has returned',
    caughtBy: [woken],
    server: watching((watch) => (key, since, wake) => {
      wake();
      return watch(key, since, wake);
    }),
  },
  {
    name: 'a watch wakes twice',
    caughtBy: [woken],
    server: watching(
      (watch) => (key, since, wake) =>
        watch(key, since, (error?: SyncError) => {
          wake(error);
          wake(error);
        }),
    ),
  },
  {
    name: 'a watch that was taken back goes on',
    caughtBy: ['watch: silent once it was taken back'],
    server: watching((watch) => (key, since, wake) => {
      watch(key, since, wake);
      return () => {};
    }),
  },
  {
    name: 'a watch takes its disposal for news',
    caughtBy: ['watch: told `stopped` by disposal'],
    server: watching((watch) => (key, since, wake) => watch(key, since, () => wake())),
  },
];
