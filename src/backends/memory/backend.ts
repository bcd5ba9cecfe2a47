import { queueMicrotask } from '../../async/platform.ts';
import { onAbort } from '../../async/signal-listeners.ts';
import type {
  Backend,
  BackendTraits,
  Commit,
  CommitResult,
  Cursor,
  QueryOptions,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
} from '../../contract/backend.ts';
import { type RequestOutcome, SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import {
  checkCommit,
  checkKey,
  checkScope,
  checkSession,
  checkWait,
  type Limits,
  refused,
} from '../../contract/validate.ts';
import type { MemoryStore } from './store.ts';
import { keyProblem } from './validate.ts';

/** Milliseconds. */
const LONGEST_WAIT = 60_000;
const SHORTEST_TTL = 10;
const LONGEST_TTL = 24 * 60 * 60 * 1000;
const LONGEST_LOCK_DELAY = 60_000;

/** Those of the servers that it behaves like. */
const MOST_OPERATIONS = { queue: 128, race: 62 };

/** The segment under which the contenders for a key queue. No key may contain it, so that no two queues meet. */
const QUEUE = '.lock';

/** One client of a store. Disposing it ends its calls, not its sessions: those end as a dead process's do. */
export class MemoryBackend implements Backend {
  readonly traits: BackendTraits;
  readonly #store: MemoryStore;
  readonly #limits: Limits;
  readonly #blocked = new Set<() => void>();
  #disposed = false;

  constructor(store: MemoryStore) {
    this.#store = store;
    this.traits = {
      name: 'memory',
      contention: store.contention,
      ttl: { min: SHORTEST_TTL, max: LONGEST_TTL },
      maxLockDelay: store.contention === 'race' ? LONGEST_LOCK_DELAY : 0,
      maxValueBytes: store.maxValueBytes,
      maxOperations: MOST_OPERATIONS[store.contention],
      fencing: 'advisory',
    };
    const { maxValueBytes, maxOperations } = this.traits;
    this.#limits = { maxValueBytes, maxOperations, keyProblem, prefixProblem: keyProblem };
  }

  lockPath(key: string): string {
    checkKey(key, this.#limits);
    if (this.traits.contention === 'race') return key;
    if (key.split('/').includes(QUEUE)) {
      const problem = `must not have a segment "${QUEUE}": locks are kept under that name`;
      throw refused('invalid-key', `the key ${quoteKey(key)} ${problem}`);
    }
    return `${key}/${QUEUE}/`;
  }

  async openSession(options: SessionOptions, signal: AbortSignal): Promise<{ id: string; ttl: number }> {
    checkSession(options, this.traits);
    return this.#call(signal, () => ({ id: this.#store.openSession(options), ttl: options.ttl }));
  }

  async renewSession(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    return this.#call(signal, () => (this.#store.renewSession(id) ? 'renewed' : 'gone'));
  }

  async closeSession(id: string, signal: AbortSignal): Promise<void> {
    return this.#call(signal, () => this.#store.closeSession(id));
  }

  async commit(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    checkCommit(commit, this.#limits);
    return this.#call(signal, () => this.#store.commit(commit), commit.then.length === 0);
  }

  async query(scope: Scope, { since, wait = LONGEST_WAIT, signal }: QueryOptions): Promise<QueryResult> {
    checkScope(scope, this.#limits);
    checkWait(wait);
    const look = (): QueryResult | Promise<QueryResult> =>
      since === undefined || wait === 0 || this.#store.changedSince(since, scope)
        ? this.#store.read(scope)
        : this.#block(scope, Math.min(wait, LONGEST_WAIT), signal);
    return this.#call(signal, look, true);
  }

  watch(key: string, since: Cursor, wake: (error?: SyncError) => void): () => void {
    checkKey(key, this.#limits);
    const scope = { key };
    let unwatch = (): void => {};
    const cancel = (): void => {
      unwatch();
      this.#blocked.delete(stop);
    };
    // Not from within the commit of somebody else, nor from within this call.
    const end = (error?: SyncError): void => {
      unwatch();
      queueMicrotask(() => {
        if (this.#blocked.delete(stop)) wake(error);
      });
    };
    const stop = (): void => end(stopped());
    this.#blocked.add(stop);
    if (this.#disposed) stop();
    else if (this.#store.changedSince(since, scope)) end();
    else unwatch = this.#store.watch(scope, () => end());
    return cancel;
  }

  positionOf(_key: string, revision: Revision): Cursor {
    return this.#store.positionAt(revision);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const stop of [...this.#blocked]) stop();
  }

  /**
   * The store acts at once and the answer takes its time, as on a network: a call that is aborted or stopped
   * in between rejects although it was carried out.
   */
  async #call<T>(signal: AbortSignal, act: () => T | Promise<T>, reads = false): Promise<T> {
    this.#check(signal, 'refused');
    const answer = await act();
    this.#check(signal, reads ? 'refused' : 'unknown');
    return answer;
  }

  #check(signal: AbortSignal, outcome: RequestOutcome): void {
    if (this.#disposed) throw stopped(outcome);
    signal.throwIfAborted();
  }

  #block(scope: Scope, wait: number, signal: AbortSignal): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        unwatch();
        timer.cancel();
        unlisten();
        this.#blocked.delete(stop);
        settle();
      };
      const answer = () => end(() => resolve(this.#store.read(scope)));
      const abort = () => end(() => reject(signal.reason));
      const stop = () => end(() => reject(stopped()));
      const unwatch = this.#store.watch(scope, answer);
      const timer = this.#store.clock.after(wait, answer);
      const unlisten = onAbort(signal, abort);
      this.#blocked.add(stop);
    });
  }
}

/** @param outcome whoever only reads leaves nothing unknown. */
function stopped(outcome: RequestOutcome = 'refused'): SyncError {
  return new SyncError('stopped', 'the memory backend was stopped', { outcome });
}
