import { randomUUID } from 'node:crypto';
import {
  type BackendTraits,
  type Commit,
  type CommitResult,
  type QueryResult,
  type Scope,
  type SessionOptions,
  SyncError,
} from 'holdfast';
import { type Cancel, type Done, type Driver, queuePath, type Request, textKeys, Window } from 'holdfast/kit';
import { SharedFile } from './shared-file.ts';
import { State } from './state.ts';

export interface FileOptions {
  readonly path: string;
  /** Milliseconds between looks of who waits. Default 50. */
  readonly pollInterval?: number;
}

/** A store in one file, for the processes of one machine. */
export class FileDriver implements Driver {
  readonly traits: BackendTraits = {
    name: 'file',
    contention: 'queue',
    ttl: { min: 100, max: 86_400_000 },
    maxLockDelay: 0,
    maxValueBytes: 65_536,
    maxOperations: 64,
    // Nobody waits for the disk: a power cut may take the last revisions back.
    fencing: 'advisory',
    wakes: 'polled',
  };
  readonly keys = textKeys;
  /** One change of the file at a time, of all that was asked for meanwhile. */
  readonly lanes = {
    writes: { window: new Window(1), limits: { cost: 100, bytes: Number.POSITIVE_INFINITY } },
    reads: { window: new Window(1), limits: { cost: 100, bytes: Number.POSITIVE_INFINITY } },
  };
  readonly pollInterval: number;
  readonly #file: SharedFile;
  readonly #ending = new AbortController();
  readonly #underWay = new Set<Promise<void>>();

  constructor({ path, pollInterval = 50 }: FileOptions) {
    this.#file = new SharedFile(path);
    this.pollInterval = pollInterval;
  }

  /** Contenders queue below it. No key may have that segment, so that no two queues meet. */
  lockPath(key: string): string {
    return queuePath(key);
  }

  async open({ ttl }: SessionOptions): Promise<{ id: string; ttl: number }> {
    const id = randomUUID();
    await this.#change((state) => state.open(id, ttl, Date.now()));
    return { id, ttl };
  }

  async renew(id: string): Promise<'renewed' | 'gone'> {
    return await this.#change((state) => state.renew(id, Date.now()));
  }

  async close(id: string): Promise<void> {
    await this.#change((state) => state.close(id));
  }

  prepare(commit: Commit): Request {
    const then = commit.then.map((mutation) =>
      mutation.put === undefined ? mutation : { ...mutation, value: new Uint8Array(mutation.value) },
    );
    return { commit: { ...commit, then } };
  }

  write(requests: readonly Request[], done: Done<CommitResult>): Cancel {
    return this.#told(done, () =>
      this.#change((state) => requests.map(({ commit }) => state.commit(commit))),
    );
  }

  read(scopes: readonly Scope[], done: Done<QueryResult>): Cancel {
    return this.#told(done, async () => {
      let state = new State(await this.#file.read());
      // What has expired is not shown, and goes before anybody can tell.
      if (state.expire(Date.now())) state = await this.#change((changed) => changed);
      return scopes.map((scope) => ({ records: state.select(scope), at: String(state.revision) }));
    });
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#underWay);
  }

  #change<T>(change: (state: State) => T): Promise<T> {
    return this.#own(this.#apply(change));
  }

  /** The end waits for it, whether or not anybody else does. */
  #own<T>(work: Promise<T>): Promise<T> {
    const over: Promise<void> = work.then(nothing, nothing).then(() => void this.#underWay.delete(over));
    this.#underWay.add(over);
    return work;
  }

  /** Rejects with a `SyncError`. */
  async #apply<T>(change: (state: State) => T): Promise<T> {
    let result: { readonly of: T } | undefined;
    try {
      await this.#file.change((text) => {
        const state = new State(text);
        state.expire(Date.now());
        result = { of: change(state) };
        const changed = state.toString();
        return changed === text ? undefined : changed;
      }, this.#ending.signal);
    } catch (error) {
      throw unavailable(error);
    }
    return (result as { readonly of: T }).of;
  }

  #told<A>(done: Done<A>, work: () => Promise<readonly A[]>): Cancel {
    let over = false;
    const told = work()
      .catch((error: unknown) => unavailable(error))
      .then((outcome) => {
        if (!over) done(outcome);
      });
    this.#own(told);
    return () => {
      over = true;
    };
  }
}

function nothing(): void {}

function unavailable(error: unknown): SyncError {
  if (error instanceof SyncError) return error;
  const { code = String(error) } = error as NodeJS.ErrnoException;
  return new SyncError('unavailable', `the file cannot be read or written (${code}): does its folder exist?`);
}
