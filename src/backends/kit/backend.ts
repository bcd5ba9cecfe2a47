import { systemClock } from '../../async/clock.ts';
import { queueMicrotask } from '../../async/platform.ts';
import { SettleOnce } from '../../async/settle-once.ts';
import type {
  Backend,
  BackendTraits,
  Commit,
  CommitResult,
  CommittedWithin,
  Cursor,
  QueryOptions,
  QueryResult,
  Scope,
  SessionOptions,
} from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';
import {
  checkCommit,
  checkKey,
  checkScope,
  checkSession,
  checkWait,
  type Limits,
} from '../../contract/validate.ts';
import type { Cancel, Driver, Look, News, Request } from './driver.ts';
import { footprintOf, isAboutKnown } from './footprint.ts';
import { Lifetime } from './lifetime.ts';
import { polling } from './polling.ts';
import { reading } from './reading.ts';
import { Requests } from './requests.ts';
import { untilOver } from './until-over.ts';

const LONGEST_WAIT = 60_000;
const POLL_INTERVAL = 250;

/**
 * Milliseconds. Waits that end at about the same time end together where requests travel together, and so do the looks that
 * follow.
 */
const SLOT = 500;

/** UTF-8 and what is put around it. */
const MOST_BYTES_A_UNIT = 8;

/** Makes a backend of what a server can do. */
export function backendOf<R extends Request>(driver: Driver<R>): Backend {
  return new DrivenBackend(driver);
}

class DrivenBackend<R extends Request> implements Backend {
  readonly traits: BackendTraits;
  readonly watch?: NonNullable<Backend['watch']>;
  readonly positionOf?: NonNullable<Backend['positionOf']>;
  readonly commitWithin?: NonNullable<Backend['commitWithin']>;
  readonly #driver: Driver<R>;
  readonly #limits: Limits;
  readonly #lifetime: Lifetime;
  readonly #reads: Requests<Scope, QueryResult>;
  readonly #writes: Requests<R, CommitResult>;
  readonly #follow: NonNullable<Driver['follow']>;

  constructor(driver: Driver<R>) {
    const { traits, keys, lanes, clock = systemClock, pollInterval = POLL_INTERVAL } = driver;
    this.#driver = driver;
    this.traits = traits;
    const { maxValueBytes, maxOperations } = traits;
    this.#limits = { maxValueBytes, maxOperations, ...keys };
    this.#lifetime = new Lifetime(traits.name);
    this.#reads = new Requests(this.#lifetime, {
      lane: lanes?.reads,
      send: (scopes, done) => driver.read(scopes, done),
    });
    this.#writes = new Requests(this.#lifetime, {
      lane: lanes?.writes,
      send: (requests, done) => driver.write(requests, done),
    });
    const { follow, positionOf, within } = driver;
    this.#follow = follow?.bind(driver) ?? polling(clock, pollInterval);
    if (follow !== undefined) this.watch = (key, since, wake) => this.#watch(key, since, wake);
    if (positionOf !== undefined) this.positionOf = (key, revision) => positionOf.call(driver, key, revision);
    if (within !== undefined) {
      this.commitWithin = (transaction, commit) =>
        this.#within(commit, () => within.call(driver, transaction, commit));
    }
  }

  lockPath(key: string): string {
    checkKey(key, this.#limits);
    return this.#driver.lockPath(key);
  }

  async openSession(options: SessionOptions, signal: AbortSignal): Promise<{ id: string; ttl: number }> {
    this.#lifetime.check(signal);
    checkSession(options, this.traits);
    return await this.#lifetime.call(signal, (inner) => this.#driver.open(options, inner));
  }

  async renewSession(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    this.#lifetime.check(signal);
    return await this.#lifetime.call(signal, (inner) => this.#driver.renew(id, inner));
  }

  async closeSession(id: string, signal: AbortSignal): Promise<void> {
    this.#lifetime.check(signal);
    await this.#lifetime.call(signal, (inner) => this.#driver.close(id, inner));
  }

  commit(commit: Commit, signal: AbortSignal): Promise<CommitResult> {
    try {
      this.#lifetime.check(signal);
      checkCommit(commit, this.#limits);
      const request = this.#driver.prepare(commit);
      const { alone, cost = 1, bytes = 0 } = request;
      const footprint = alone ? undefined : footprintOf(commit, cost, bytes);
      const committing = this.#writes.ask(request, signal, isAboutKnown(commit), footprint);
      return commit.then.length === 0 ? reading(signal, committing) : committing;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async query(scope: Scope, { since, wait, signal }: QueryOptions): Promise<QueryResult> {
    const { longestWait = LONGEST_WAIT } = this.#driver;
    this.#lifetime.check(signal);
    checkScope(scope, this.#limits);
    checkWait(wait);
    const bound = Math.min(wait ?? longestWait, longestWait);
    if (since === undefined || bound === 0) return await this.#look(scope, signal);
    return await reading(signal, this.#waited(scope, since, bound, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lifetime.end();
    await this.#driver.end();
  }

  async #within(
    commit: Commit,
    ask: () => ReturnType<NonNullable<Driver['within']>>,
  ): Promise<CommittedWithin> {
    const { signal } = new AbortController();
    this.#lifetime.check(signal);
    checkCommit(commit, this.#limits);
    const { result, isOver } = await this.#lifetime.call(signal, ask);
    const { clock = systemClock } = this.#driver;
    return {
      result,
      ended: async (until) => {
        this.#lifetime.check(until);
        await this.#lifetime.call(until, (inner) => untilOver(isOver, clock, inner));
      },
    };
  }

  async #waited(scope: Scope, since: Cursor, wait: number, signal: AbortSignal): Promise<QueryResult> {
    const news = await this.#changed(scope, since, wait, signal);
    if (news.why === 'shown') return news.shown;
    if (news.why === 'failed') throw news.error;
    const shown = await this.#look(scope, signal);
    if (news.why === 'refused') throw news.error;
    return shown;
  }

  readonly #look: Look = (scope, signal) => {
    const text = scope.key ?? scope.prefix;
    const footprint = { keys: [], cost: 1, bytes: MOST_BYTES_A_UNIT * text.length };
    return reading(signal, this.#reads.ask(scope, signal, false, footprint));
  };

  /** The end of the wait is a reason to look, too. */
  #changed(scope: Scope, since: Cursor, wait: number, signal: AbortSignal): Promise<News> {
    const { clock = systemClock, lanes } = this.#driver;
    const call = new SettleOnce<News>();
    this.#lifetime.add(call);
    call.finally(() => this.#lifetime.delete(call));
    const bound = lanes === undefined ? wait : untilSlot(clock.now(), wait);
    call.after(clock, bound, () => call.resolve({ why: 'changed' }));
    call.finally(this.#follow(scope, since, (news) => call.resolve(news), this.#look));
    return call.follow(signal).promise;
  }

  #watch(key: string, since: Cursor, wake: (error?: SyncError) => void): Cancel {
    checkKey(key, this.#limits);
    const lifetime = this.#lifetime;
    let isReturned = false;
    let cancel: Cancel | undefined;
    const end = (): void => {
      lifetime.delete(following);
      cancel?.();
      over = true;
    };
    let over = false;
    const tell = (news: News): void => {
      if (over) return;
      if (!isReturned) {
        queueMicrotask(() => tell(news));
        return;
      }
      end();
      wake('error' in news ? news.error : undefined);
    };
    const following = { reject: (error: SyncError): void => tell({ why: 'failed', error }) };
    if (lifetime.over) following.reject(lifetime.stopped());
    else {
      lifetime.add(following);
      cancel = this.#follow({ key }, since, tell, this.#look);
    }
    isReturned = true;
    return end;
  }
}

/** Short waits are kept as they are; a longer one may end a little earlier. */
function untilSlot(now: number, wait: number): number {
  if (wait < 4 * SLOT) return wait;
  return Math.floor((now + wait) / SLOT) * SLOT - now;
}
