import { type Backend, type CommitResult, type QueryOptions, SyncError } from 'holdfast';
import { withVerbs } from '../with-verbs.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** The store's own side of the network: it restarts, goes back to an earlier copy, and answers for nothing. */
export class Server {
  readonly #world: World;
  /** Whether it has the optional verb `watch`. */
  readonly #watches: boolean;
  /** Cursors of an earlier one mean nothing. */
  #incarnation = 1;
  #down = false;
  #restoredAt = Number.NEGATIVE_INFINITY;
  #copy: ReturnType<World['store']['copy']> | undefined;

  constructor(world: World, watches: boolean) {
    this.#world = world;
    this.#watches = watches;
  }

  /** Milliseconds of true time, in the past for ever if it was never. */
  get restoredAt(): number {
    return this.#restoredAt;
  }

  get restored(): boolean {
    return this.#restoredAt > Number.NEGATIVE_INFINITY;
  }

  /** It ends, with everybody's connection, and comes back with its data, but with a history of its own. */
  restart(downtime: number): void {
    this.#down = true;
    for (const { network } of this.#world.processes) network.reset();
    this.#world.clock.after(downtime, () => this.comeUp());
  }

  comeUp(): void {
    if (!this.#down) return;
    this.#down = false;
    this.#incarnation += 1;
  }

  /** Most often an older one stays: the further the store goes back, the more is noticed. */
  keepCopy(): void {
    if (this.#copy === undefined || this.#world.chance(0.2)) this.#copy = this.#world.store.copy();
  }

  /** Back to the copy. `false`: there is none, or nothing happened since. */
  restore(): boolean {
    const { store, clock, workload } = this.#world;
    if (this.#copy === undefined || this.#copy.revision === store.copy().revision) return false;
    this.#restoredAt = clock.now();
    store.restore(this.#copy);
    workload.restored?.();
    return true;
  }

  /** A client of the store that stands beside it. Sees commits in the order in which the store accepts them. */
  observed(server: Backend, process: () => Process): Backend {
    const up = <T>(act: () => Promise<T>): Promise<T> =>
      this.#down ? Promise.reject(refusedConnection()) : act();
    const query: Backend['query'] = async (scope, options) => {
      const { records, at } = await server.query(scope, this.#asked(options));
      return { records, at: `${this.#incarnation}:${at}` };
    };
    const commit: Backend['commit'] = async (wanted, signal): Promise<CommitResult> => {
      // The memory store acts before it answers: nothing comes between this and the next line.
      const result = await server.commit(wanted, signal);
      if (result.ok) this.#world.workload.accepted?.(wanted, process());
      return result;
    };
    return withVerbs(server, {
      ...(this.#watches && {
        watch: (key, since, wake) => this.#watch(server, key, since, wake),
        positionOf: (key, revision) => `${this.#incarnation}:${server.positionOf?.(key, revision)}`,
      }),
      openSession: (options, signal) => up(() => server.openSession(options, signal)),
      renewSession: (id, signal) => up(() => server.renewSession(id, signal)),
      closeSession: (id, signal) => up(() => server.closeSession(id, signal)),
      query: (scope, options) => up(() => query(scope, options)),
      commit: (wanted, signal) => up(() => commit(wanted, signal)),
    });
  }

  #watch(server: Backend, key: string, since: string, wake: (error?: SyncError) => void): () => void {
    const { clock } = this.#world;
    const [incarnation, position = ''] = since.split(':');
    const takeBack = server.watch?.(key, position, wake);
    const [isOld, forNothing] = [Number(incarnation) !== this.#incarnation, this.#world.chance(0.1)];
    const down = this.#down ? refusedConnection() : undefined;
    if (!isOld && !forNothing && down === undefined) return takeBack ?? (() => {});
    const soon = clock.after(forNothing ? this.#world.between(0, 50) : 0, () => {
      takeBack?.();
      wake(down);
    });
    return () => {
      soon.cancel();
      takeBack?.();
    };
  }

  /** A position of an earlier server is answered at once; and a server may answer for nothing. */
  #asked({ since, wait, signal }: QueryOptions): QueryOptions {
    const [incarnation, position] = since?.split(':') ?? [];
    if (position === undefined || Number(incarnation) !== this.#incarnation) return { signal };
    const longest = this.#world.chance(0.1) ? this.#world.between(0, 50) : wait;
    return { since: position, signal, ...(longest === undefined ? {} : { wait: longest }) };
  }
}

function refusedConnection(): SyncError {
  return new SyncError('unavailable', 'connection refused');
}
