import { randomBytes } from 'node:crypto';
import {
  type Backend,
  type Grant,
  isSyncError,
  type Lock,
  type LockLoss,
  SyncManager,
  type SyncManagerOptions,
} from 'holdfast';
import { firstValueFrom, type Observable } from 'rxjs';
import { filter, timeout } from 'rxjs/operators';
import { patience } from '../crowd.ts';

/** One store, as several services see it. */
export interface World {
  readonly name: string;
  /** A fresh client of the store. */
  backend(): Backend;
  /** Milliseconds. Nothing waits for an expiry where it is long: it only has to outlast a stalled machine. */
  readonly ttl: number;
  readonly lockDelay: number;
}

/** A key nobody else uses. */
export function uniqueKey(stem: string): string {
  return `t${randomBytes(5).toString('hex')}/${stem}`;
}

/** Managers that are all stopped when the scope ends. */
export class Managers implements AsyncDisposable {
  readonly #world: World;
  readonly #made: SyncManager[] = [];
  readonly #tools: Backend[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  make(options: Partial<SyncManagerOptions> = {}): SyncManager {
    const { ttl, lockDelay } = this.#world;
    const manager = new SyncManager({
      name: `svc${randomBytes(4).toString('hex')}`,
      backend: this.#world.backend(),
      session: { ttl, lockDelay },
      ...options,
    });
    this.#made.push(manager);
    return manager;
  }

  /** A bare client, to look at the store and to act on it as an operator does. */
  operator(): Backend {
    const backend = this.#world.backend();
    this.#tools.push(backend);
    return backend;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#made.map((manager) => manager.stop()));
    await Promise.all(this.#tools.map((backend) => backend[Symbol.asyncDispose]()));
  }
}

/** The session that stands at this moment, if there is one. */
export function currentSession(manager: Pick<SyncManager, 'session$'>): string | undefined {
  let id: string | undefined;
  const look = manager.session$.subscribe((state) => {
    id = 'id' in state && state.name !== 'ended' ? state.id : undefined;
  });
  look.unsubscribe();
  return id;
}

/**
 * Gives a grant back, and says whether that is known to have reached the store. A release is over at the latest with the
 * session, whatever came of it; and to give back what was lost changes nothing.
 */
export async function givenBack(manager: Pick<SyncManager, 'session$'>, grant: Grant): Promise<boolean> {
  const session = currentSession(manager);
  await grant.release();
  const released = isSyncError(grant.signal.reason, 'released');
  return released && session !== undefined && currentSession(manager) === session;
}

export const live = new AbortController().signal;

/** Waits for a condition, not for a time; the bound only ends a test that fails. */
export async function until(condition: () => boolean | Promise<boolean>, bound = 20_000): Promise<void> {
  const begun = performance.now();
  while (!(await condition())) {
    if (performance.now() - begun > patience(bound))
      throw new Error(`not so within ${bound} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function next<T>(source: Observable<T>, matches: (value: T) => boolean, bound = 20_000): Promise<T> {
  return firstValueFrom(source.pipe(filter(matches), timeout(patience(bound))));
}

/** Resolves to the reason for which a signal aborts. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  if (signal.aborted) return Promise.resolve(signal.reason);
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
}

export function stateOf(lock: Lock, name: string): Promise<unknown> {
  return next(lock.state$, (state) => state.name === name);
}

export function losses(lock: Lock): LockLoss[] {
  const seen: LockLoss[] = [];
  lock.lost$.subscribe((loss) => seen.push(loss));
  return seen;
}

export interface LossAt extends LockLoss {
  /** Monotonic milliseconds. */
  readonly at: number;
}

/** Listens to the losses of a lock from now on, and tells that of a grant: also one that a busy machine has brought early. */
export function lossesByGrant(lock: Lock): (grant: Grant) => Promise<LossAt> {
  const seen: LossAt[] = [];
  lock.lost$.subscribe((loss) => seen.push({ ...loss, at: performance.now() }));
  return async ({ token }) => {
    const find = () => seen.find((loss) => loss.token === token);
    await until(() => find() !== undefined);
    return find() as LossAt;
  };
}

/** The id of the manager's session. */
export async function sessionOf(manager: SyncManager): Promise<string> {
  const state = await next(manager.session$, ({ name }) => name === 'live');
  if (state.name !== 'live') throw new Error('not live');
  return state.id;
}
