import {
  type Backend,
  type Commit,
  type SyncErrorCode,
  SyncManager,
  type SyncManagerOptions,
} from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import { withVerbs } from '../with-verbs.ts';

/** One request on its way to the store: `pass` carries it out. */
export type Request =
  | { readonly verb: 'commit'; readonly commit: Commit; readonly signal: AbortSignal }
  | { readonly verb: 'query'; readonly since: string | undefined; readonly signal: AbortSignal }
  | { readonly verb: 'openSession' | 'renewSession' | 'closeSession'; readonly signal: AbortSignal };

export type Fault = <T>(request: Request, pass: () => Promise<T>) => Promise<T>;

/** What a backend may say of a request that had been sent. */
export const CODES: readonly SyncErrorCode[] = [
  'unavailable',
  'bad-response',
  'insecure',
  'permission-denied',
  'value-too-large',
  'rejected',
  'invalid-option',
  'stopped',
];

export const isOwnedPut = (request: Request): boolean =>
  request.verb === 'commit' &&
  request.commit.then.some((mutation) => mutation.put !== undefined && mutation.session !== undefined);

export const isRemoval = (request: Request): boolean =>
  request.verb === 'commit' && request.commit.then.some((mutation) => mutation.remove !== undefined);

export const isWriteTo =
  (key: string) =>
  (request: Request): boolean =>
    request.verb === 'commit' && request.commit.then.some((mutation) => mutation.put === key);

export function faulty(backend: Backend, fault: Fault): Backend {
  return withVerbs(backend, {
    openSession: (options, signal) =>
      fault({ verb: 'openSession', signal }, () => backend.openSession(options, signal)),
    renewSession: (id, signal) =>
      fault({ verb: 'renewSession', signal }, () => backend.renewSession(id, signal)),
    closeSession: (id, signal) =>
      fault({ verb: 'closeSession', signal }, () => backend.closeSession(id, signal)),
    query: (scope, options) =>
      fault({ verb: 'query', since: options.since, signal: options.signal }, () =>
        backend.query(scope, options),
      ),
    commit: (commit, signal) =>
      fault({ verb: 'commit', commit, signal }, () => backend.commit(commit, signal)),
  });
}

export function setUp(contention: 'queue' | 'race') {
  const clock = new VirtualClock();
  const store = new MemoryStore({ contention, clock });
  const make = (fault?: Fault, options: Partial<SyncManagerOptions> = {}): SyncManager => {
    const backend = memory({ store });
    return new SyncManager({
      name: 'svc',
      backend: fault ? faulty(backend, fault) : backend,
      clock,
      session: { ttl: 10_000, lockDelay: 0 },
      ...options,
    });
  };
  const pause = (ms: number) => new Promise<void>((resolve) => void clock.after(ms, resolve));
  return { clock, store, make, pause };
}

/** A promise whose fate can be looked at, and whose rejection is nobody's surprise. */
export function watch<T>(promise: Promise<T>) {
  const seen: { done: boolean; value: T | undefined; code: string | undefined } = {
    done: false,
    value: undefined,
    code: undefined,
  };
  promise.then(
    (value) => {
      seen.done = true;
      seen.value = value;
    },
    (error: { code?: string }) => {
      seen.done = true;
      seen.code = error.code;
    },
  );
  return seen;
}

/** Never answers, but ends with its signal. */
export function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

export function got<T>(seen: { value: T | undefined }): T {
  if (seen.value === undefined) throw new Error('nothing came of it');
  return seen.value;
}

/** Lets time pass until this is settled, and gives what it came to. */
export async function settle<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let done = false;
  const finish = (): void => {
    done = true;
  };
  promise.then(finish, finish);
  await clock.runUntil(() => done);
  return await promise;
}
