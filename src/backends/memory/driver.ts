import { queueMicrotask } from '../../async/platform.ts';
import type {
  BackendTraits,
  Commit,
  CommitResult,
  Cursor,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
} from '../../contract/backend.ts';
import type { KeyRules } from '../../contract/validate.ts';
import type { Cancel, Done, Driver, News, Request } from '../kit/driver.ts';
import { queuePath, textKeys } from '../kit/keys.ts';
import type { MemoryStore } from './store.ts';

/** Milliseconds. */
const SHORTEST_TTL = 10;
const LONGEST_TTL = 24 * 60 * 60 * 1000;
const LONGEST_LOCK_DELAY = 60_000;

/** Those of the servers that it behaves like. */
const MOST_OPERATIONS = { queue: 128, race: 62 };

/** One client of a store. Its end ends its calls, not its sessions: those end as a dead process's do. */
export class MemoryDriver implements Driver {
  readonly traits: BackendTraits;
  /** It has everything in one process: to ask for all of it is a mistake. */
  readonly keys: KeyRules = { ...textKeys, prefixProblem: textKeys.keyProblem };
  readonly #store: MemoryStore;

  constructor(store: MemoryStore) {
    this.#store = store;
    const { contention, maxValueBytes } = store;
    this.traits = {
      name: 'memory',
      contention,
      ttl: { min: SHORTEST_TTL, max: LONGEST_TTL },
      maxLockDelay: contention === 'race' ? LONGEST_LOCK_DELAY : 0,
      maxValueBytes,
      maxOperations: MOST_OPERATIONS[contention],
      fencing: 'advisory',
      wakes: 'pushed',
    };
  }

  get clock() {
    return this.#store.clock;
  }

  lockPath(key: string): string {
    return this.traits.contention === 'race' ? key : queuePath(key);
  }

  async open(options: SessionOptions): Promise<{ id: string; ttl: number }> {
    return { id: this.#store.openSession(options), ttl: options.ttl };
  }

  async renew(id: string): Promise<'renewed' | 'gone'> {
    return this.#store.renewSession(id) ? 'renewed' : 'gone';
  }

  async close(id: string): Promise<void> {
    this.#store.closeSession(id);
  }

  prepare(commit: Commit): Request {
    return { commit };
  }

  write(requests: readonly Request[], done: Done<CommitResult>): Cancel {
    return answer(
      requests.map(({ commit }) => this.#store.commit(commit)),
      done,
    );
  }

  read(scopes: readonly Scope[], done: Done<QueryResult>): Cancel {
    return answer(
      scopes.map((scope) => this.#store.read(scope)),
      done,
    );
  }

  follow(scope: Scope, since: Cursor, news: (news: News) => void): Cancel {
    let over = false;
    let unwatch = (): void => {};
    const changed = (): void => {
      unwatch();
      // Not from within the commit of somebody else.
      queueMicrotask(() => {
        if (!over) news({ why: 'changed' });
      });
    };
    if (this.#store.changedSince(since, scope)) changed();
    else unwatch = this.#store.watch(scope, changed);
    return () => {
      over = true;
      unwatch();
    };
  }

  positionOf(_key: string, revision: Revision): Cursor {
    return this.#store.positionAt(revision);
  }

  /** Nothing of it is open. */
  async end(): Promise<void> {}
}

/**
 * The store acts at once and the answer takes its time, as on a network: a call that is aborted or stopped in between rejects
 * although it was carried out.
 */
function answer<A>(answers: readonly A[], done: Done<A>): Cancel {
  let over = false;
  queueMicrotask(() => {
    if (!over) done(answers);
  });
  return () => {
    over = true;
  };
}
