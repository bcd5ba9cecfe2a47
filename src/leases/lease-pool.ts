import { BehaviorSubject, filter, type Observable, Subject } from 'rxjs';
import { Background } from '../async/background.ts';
import type { Timer } from '../async/clock.ts';
import { IsolatedObservable } from '../async/isolated-observable.ts';
import { SettleOnce } from '../async/settle-once.ts';
import { onAbort } from '../async/signal-listeners.ts';
import { within } from '../async/within.ts';
import { invalid } from '../contract/options.ts';
import { type CallOptions, isSyncError, type JsonValue, type SyncManager } from '../index.ts';
import { type AttributesCheck, attributesCheck } from './attributes.ts';
import { boundedBy, leftOf } from './bounds.ts';
import { noRoom, notObtained, refuseItem, stoppedPool } from './errors.ts';
import { lineOf, type PoolEvent } from './events.ts';
import { Fleet, type FleetOptions } from './fleet.ts';
import { Items, type ListedItem, type NewItem } from './items.ts';
import type { Lease } from './lease.ts';
import { Membership } from './membership.ts';
import {
  type BalanceOptions,
  type CheckedPoolOptions,
  checkBalance,
  checkPoolOptions,
  checkRequest,
  checkWork,
  type LeaseHandler,
  type LeasePoolOptions,
  type WaitRequest,
  type WorkRequest,
} from './options.ts';
import { PoolView } from './pool-view.ts';
import { Layout } from './records.ts';
import { type BadRecord, type Item, readItems } from './snapshot.ts';
import type { PoolStatus } from './status.ts';
import { Takes } from './takes.ts';
import { Waiters } from './waiters.ts';

/** Milliseconds for which a process is still seen as waiting when nobody there waits any more. */
const LINGER = 1_000;

/** Milliseconds for which `stop()` waits at most until nothing is under way any more. What is left goes on behind it. */
const FAREWELL = 1_000;

/**
 * A pool of items that outlive the processes that work on them, each held by one worker at a time. See docs/leases.md.
 *
 * Stops with its manager, before that gives back its locks.
 */
export class LeasePool<A = JsonValue, P = JsonValue> implements AsyncDisposable {
  /** What the items are: now, and whenever that may have changed. */
  readonly items$: Observable<readonly Item<A>[]>;
  /** What happens here, for logs and metrics. */
  readonly events$: Observable<PoolEvent>;
  /** By which the records of this process are known: random, and another one for each pool. */
  readonly member: string;
  readonly #sync: SyncManager;
  readonly #own: boolean;
  readonly #options: CheckedPoolOptions<A>;
  readonly #layout: Layout;
  readonly #check: AttributesCheck<A>;
  readonly #items: Items<A, P>;
  readonly #view: PoolView<A>;
  readonly #takes: Takes<A, P>;
  readonly #waiters: Waiters<A, P>;
  readonly #membership: Membership;
  readonly #background: Background;
  readonly #events = new Subject<PoolEvent>();
  readonly #changes = new BehaviorSubject<undefined>(undefined);
  readonly #ready = new SettleOnce<void>();
  readonly #forget: () => void;
  #fleet: Fleet<A, P> | undefined;
  #lingering = Number.NEGATIVE_INFINITY;
  #leaving: Timer | undefined;
  #pumping = false;
  #stopped: Promise<void> | undefined;

  /** Throws `invalid-option`, and `stopped` when the manager is. Does no I/O. */
  constructor(sync: SyncManager, options: LeasePoolOptions<A>) {
    this.#options = checkPoolOptions(sync, options);
    const { prefix, session, maxItems, select, limit } = this.#options;
    const { clock } = sync;
    // By it shares are reckoned: so it comes from the clock, as all chance by which something is decided.
    const member = [clock.random(), clock.random()].map((part) => part.toString(36).slice(2)).join('-');
    this.member = member;
    this.#layout = new Layout(prefix);
    this.#own = session !== undefined;
    this.#sync = session === undefined ? sync : sync.fork({ session });
    const report = this.#report;
    const trouble = this.#trouble;
    this.#background = new Background(report);
    const background = (task: Promise<unknown>): void => this.#background.run(task);
    const check = attributesCheck(this.#options.attributes);
    this.#check = check;
    const changed = (): void => this.#pump();
    const bad = (record: BadRecord): void => this.#emit({ type: 'bad-record', ...record });
    const base = { sync: this.#sync, layout: this.#layout, member, report, bad };
    this.#items = new Items<A, P>({ ...base, limit, check });
    this.#view = new PoolView<A>({
      ...base,
      check,
      changed: () => {
        this.#ready.resolve();
        this.#takes.look();
        if (!this.#view.workers.has(this.member)) this.#membership.unseen();
        this.#changes.next(undefined);
        this.#pump();
      },
    });
    this.#takes = new Takes<A, P>({
      ...base,
      view: this.#view,
      select,
      maxItems,
      changed,
      trouble,
      obtained: ({ id, token }, freeFor) =>
        this.#emit({ type: 'obtained', id, token, ...(freeFor === undefined ? {} : { freeFor }) }),
      ended: (id, token, loss) =>
        this.#emit(loss === undefined ? { type: 'released', id, token } : { type: 'lost', ...loss }),
    });
    this.#waiters = new Waiters<A, P>(this.#sync, this.#takes, background, trouble);
    this.#membership = new Membership(this.#sync, this.#layout, member, report);
    this.items$ = new IsolatedObservable<readonly Item<A>[]>(report, (subscriber) => {
      this.#begin();
      return this.#changes.pipe(filter(() => this.#view.ready)).subscribe({
        next: () => subscriber.next([...this.#view.items.values()]),
        complete: () => subscriber.complete(),
      });
    });
    this.events$ = new IsolatedObservable<PoolEvent>(report, (subscriber) =>
      this.#events.subscribe(subscriber),
    );
    this.#forget = sync.onStop('before-release', () => this.stop());
  }

  /** As it was given: the option `prefix`. */
  get name(): string {
    return this.#options.prefix;
  }

  /** The name of its manager. */
  get service(): string {
    return this.#sync.name;
  }

  /** `false`: an item of this id is there already, and was left as it is. Rejects with `limit-reached`, and as `commit` does. */
  async add(item: NewItem<A>): Promise<boolean> {
    return (await this.addAll([item])) === 1;
  }

  /** Resolves to how many of them were new: those that are there already are left as they are. */
  async addAll(items: readonly NewItem<A>[]): Promise<number> {
    this.#assertRunning();
    return await this.#items.add(items);
  }

  /**
   * Writes the attributes of an item if nobody has since that revision. Resolves to the item as it is now; to `undefined` if it was
   * changed or removed meanwhile. Who holds it sees the new attributes in `lease.item`.
   */
  async update(item: Omit<Item<A>, 'created'>): Promise<Item<A> | undefined> {
    this.#assertRunning();
    return await this.#items.update(item);
  }

  /** Removes an item and its position. `false`: it was not there. Who holds it loses it, with the reason `removed`. */
  async remove(id: string): Promise<boolean> {
    this.#assertRunning();
    return await this.#items.remove(id);
  }

  /** All items, with who holds them and how far they are, by one read. */
  async list(): Promise<ListedItem<A, P>[]> {
    this.#assertRunning();
    return await this.#items.list();
  }

  /**
   * Leases this very item; or gives the same lease again, to its own lessee in this pool of this process. Rejects with `not-obtained`
   * if somebody else has it or there is no such item, and with `limit-reached` above `maxItems`.
   */
  async lease(id: string, request: WaitRequest): Promise<Lease<A, P>> {
    this.#assertRunning();
    checkRequest(request);
    const own = this.#takes.leases.get(id);
    if (own !== undefined) {
      if (own.lesseeId === request.lesseeId) return own;
      throw notObtained(`the item ${JSON.stringify(id)} is held by another lessee of this process`);
    }
    const asked = this.#takes.asked(id, request.lesseeId);
    if (asked !== undefined) return (await asked) ?? refuseItem(id);
    this.#assertRoom();
    this.#begin();
    const left = leftOf(this.#sync.clock, request);
    const { signal } = left();
    const { records } = await this.#sync.query({ key: this.#layout.item(id) }, signal ? { signal } : {});
    const item = readItems(records, this.#layout.items, this.#check).found.get(id);
    if (item === undefined)
      throw notObtained(`there is no item ${JSON.stringify(id)} in the pool, or it is malformed`);
    this.#assertRoom();
    return (await this.#takes.take(item, request.lesseeId, left())) ?? refuseItem(id);
  }

  /** Leases any item that is free now. Rejects with `not-obtained` if there is none, and with `limit-reached` above `maxItems`. */
  async obtain(request: WaitRequest): Promise<Lease<A, P>> {
    this.#assertRunning();
    checkRequest(request);
    this.#assertRoom();
    const left = leftOf(this.#sync.clock, request);
    this.#begin();
    await this.#seen(left());
    for (const item of this.#takes.allFree()) {
      // Others of this process may have taken something meanwhile.
      this.#assertRoom();
      const lease = await this.#takes.take(item, request.lesseeId, left());
      if (lease !== undefined) return lease;
    }
    throw notObtained('no item is free');
  }

  /**
   * Waits until an item is free and leased: in the order in which callers of this process asked, with a try at the store only when
   * there is something to be had. Rejects with the signal's reason, `timeout` and `stopped`; while nothing can be reached it waits.
   */
  async waitUntilObtained(request: WaitRequest): Promise<Lease<A, P>> {
    this.#assertRunning();
    checkRequest(request);
    this.#begin();
    const waiting = this.#waiters.add(request);
    this.#join();
    this.#pump();
    return await waiting.finally(() => this.#linger());
  }

  /**
   * Takes whatever is free, up to `concurrency` items at a time, and runs the handler on each: obtain, run, release, next. What failed
   * is left alone for a while.
   */
  work(request: WorkRequest, handler: LeaseHandler<A, P>): Fleet<A, P> {
    const { concurrency, ...options } = checkWork(request);
    const maxItems = Math.min(concurrency, this.#options.maxItems);
    return this.#run({ ...options, share: false, weight: 0, maxItems }, handler, request.signal);
  }

  /**
   * Takes its share of the items, as workers come and go: by weight, without a leader, moving as few as needed. Who has too many is
   * asked to finish before anything moves. Who works on the pool by `work` or waits for items has no share.
   */
  balance(options: BalanceOptions, handler: LeaseHandler<A, P>): Fleet<A, P> {
    const checked = checkBalance(options, this.#options.maxItems, this.member);
    return this.#run({ ...checked, share: true }, handler, options.signal);
  }

  /** As far as is seen from here, without asking anybody. */
  get status(): PoolStatus {
    const { items, free, workers } = this.#view;
    const now = this.#sync.clock.now();
    const oldest = Math.min(...free.values(), now);
    return {
      items: items.size,
      held: this.#takes.leases.size,
      free: free.size,
      workers: workers.size,
      waiting: this.#waiters.length,
      oldestFree: now - oldest,
    };
  }

  /** Drains: handlers are asked to finish, waiting calls reject with `stopped`, and every item is given back. Idempotent; never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #run(options: FleetOptions, handler: LeaseHandler<A, P>, signal: AbortSignal | undefined): Fleet<A, P> {
    this.#assertRunning();
    if (typeof handler !== 'function') throw invalid('handler', 'must be a function of a lease');
    if (this.#fleet !== undefined)
      throw invalid('handler', 'is one too many: a pool of a process works once at a time');
    let unlisten: (() => void) | undefined;
    const fleet = new Fleet<A, P>(
      {
        sync: this.#sync,
        member: this.member,
        view: this.#view,
        takes: this.#takes,
        background: (task) => this.#background.run(task),
        report: this.#report,
        trouble: this.#trouble,
        handlerFailed: (error, id) => this.#emit({ type: 'handler-failed', id, error }),
        asked: (id) => this.#emit({ type: 'yield-asked', id }),
        leaving: () => this.#join(),
        stopped: () => {
          unlisten?.();
          if (this.#fleet === fleet) this.#fleet = undefined;
        },
      },
      options,
      handler,
    );
    this.#fleet = fleet;
    this.#begin();
    this.#join();
    if (signal?.aborted) void fleet.stop();
    else if (signal !== undefined) unlisten = onAbort(signal, () => void fleet.stop());
    this.#pump();
    return fleet;
  }

  /** From now on it is looked at. */
  #begin(): void {
    this.#view.start();
  }

  #seen(call: CallOptions): Promise<void> {
    return boundedBy(this.#sync.clock, call, this.#ready.promise, 'the pool could not be looked at');
  }

  #pump(): void {
    // What is begun here may come back to here.
    if (this.#pumping || !this.#view.ready || this.#stopped !== undefined) return;
    this.#pumping = true;
    try {
      if (this.#waiters.length > 0) this.#waiters.pump(this.#view.rivalsOf(this.member));
      this.#fleet?.pump();
    } finally {
      this.#pumping = false;
    }
  }

  /** Tells the others whether this process takes items. */
  #join(): void {
    const { maxItems } = this.#options;
    const waits = this.#waiters.length > 0 || this.#sync.clock.now() < this.#lingering;
    const fleet = this.#fleet?.running === true ? this.#fleet.worker : undefined;
    this.#background.run(this.#membership.be(fleet ?? (waits ? { weight: 0, maxItems } : undefined)));
  }

  #linger(): void {
    if (this.#waiters.length > 0 || this.#stopped !== undefined) return;
    const { clock } = this.#sync;
    this.#lingering = clock.now() + LINGER;
    this.#leaving?.cancel();
    this.#leaving = clock.after(LINGER, () => this.#join());
  }

  async #stop(): Promise<void> {
    this.#forget();
    const stopped = stoppedPool(this.name);
    this.#ready.promise.catch(() => undefined);
    this.#ready.reject(stopped);
    this.#waiters.reject(stopped);
    this.#leaving?.cancel();
    this.#lingering = Number.NEGATIVE_INFINITY;
    await this.#fleet?.stop();
    this.#join();
    await Promise.all([...this.#takes.leases.values()].map((lease) => lease.release()));
    this.#takes.stop();
    this.#view.stop();
    this.#membership.abandon();
    await within(this.#sync.clock, FAREWELL, this.#background.settled());
    if (this.#own) await this.#sync.stop();
    this.#changes.complete();
    this.#events.complete();
  }

  #assertRunning(): void {
    if (this.#stopped !== undefined) throw stoppedPool(this.name);
  }

  #assertRoom(): void {
    if (this.#takes.room <= 0) throw noRoom(this.#options.maxItems);
  }

  readonly #report = (error: unknown): void => this.#emit({ type: 'trouble', error });

  readonly #trouble = (error: unknown, id: string): void => {
    if (!isSyncError(error, 'stopped')) this.#emit({ type: 'trouble', error, id });
  };

  #emit(event: PoolEvent): void {
    const { logger, prefix } = this.#options;
    if (logger !== undefined) {
      const [level, message] = lineOf(event);
      logger[level](`${this.#sync.name}: pool ${prefix}: ${message}`);
    }
    this.#events.next(event);
  }
}
