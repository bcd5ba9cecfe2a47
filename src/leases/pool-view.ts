import type { Subscription } from 'rxjs';
import type { StoredRecord, SyncManager } from '../index.ts';
import type { AttributesCheck } from './attributes.ts';
import type { Layout } from './records.ts';
import {
  type BadRecord,
  type Item,
  type ItemHolder,
  type Read,
  readHolders,
  readItems,
  readWorkers,
  type Worker,
} from './snapshot.ts';

export interface PoolViewHost<A> {
  readonly sync: SyncManager;
  readonly layout: Layout;
  readonly check: AttributesCheck<A>;
  /** Something is not as it was. */
  changed(): void;
  bad(record: BadRecord): void;
}

const NO_QUOTA: ReadonlyMap<string, number> = new Map();

/**
 * What the pool looks like, kept up to date as long as somebody here needs it. Positions are not a part of it: a checkpoint of one
 * worker would wake all others.
 */
export class PoolView<A> {
  readonly #host: PoolViewHost<A>;
  #items: ReadonlyMap<string, Item<A>> | undefined;
  #holders: ReadonlyMap<string, ItemHolder> | undefined;
  #workers: ReadonlyMap<string, Worker> | undefined;
  #subscriptions: Subscription[] = [];
  /** What was told of bad records, by their keys. */
  readonly #told = new Map<string, string>();
  /** Since when an item is free, as seen from here. Monotonic milliseconds. */
  readonly #freeSince = new Map<string, number>();

  constructor(host: PoolViewHost<A>) {
    this.#host = host;
  }

  /** Whether all of it was seen. */
  get ready(): boolean {
    return this.#items !== undefined && this.#holders !== undefined && this.#workers !== undefined;
  }

  get items(): ReadonlyMap<string, Item<A>> {
    return this.#items ?? new Map();
  }

  get holders(): ReadonlyMap<string, ItemHolder> {
    return this.#holders ?? new Map();
  }

  get workers(): ReadonlyMap<string, Worker> {
    return this.#workers ?? new Map();
  }

  /** Items that nobody holds, with the instant since which that is so. */
  get free(): ReadonlyMap<string, number> {
    return this.#freeSince;
  }

  /** How many items each member has. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { member } of this.holders.values()) counts.set(member, (counts.get(member) ?? 0) + 1);
    return counts;
  }

  /**
   * The others that go for free items: those that have fewer than they may.
   *
   * @param quota what each may have at present; by default what it takes at most.
   */
  rivalsOf(member: string, quota: ReadonlyMap<string, number> = NO_QUOTA): string[] {
    const counts = this.counts();
    const rivals: string[] = [];
    for (const worker of this.workers.values()) {
      const most = quota.get(worker.member) ?? worker.maxItems;
      if (worker.member !== member && (counts.get(worker.member) ?? 0) < most) rivals.push(worker.member);
    }
    return rivals;
  }

  start(): void {
    if (this.#subscriptions.length > 0) return;
    const { sync, layout } = this.#host;
    const follow = (prefix: string, take: (records: readonly StoredRecord[]) => void): void => {
      const told = (records: readonly StoredRecord[]): void => {
        take(records);
        this.#count();
        if (this.ready) this.#host.changed();
      };
      this.#subscriptions.push(sync.watch({ prefix }).subscribe(told));
    };
    follow(layout.items, (records) => {
      this.#items = this.#tell(readItems(records, layout.items, this.#host.check), layout.items);
    });
    follow(layout.holders, (records) => {
      this.#holders = this.#tell(readHolders(records, layout.holders), layout.holders);
    });
    follow(layout.workers, (records) => {
      this.#workers = this.#tell(readWorkers(records, layout.workers), layout.workers);
    });
  }

  stop(): void {
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe();
    this.#items = undefined;
    this.#holders = undefined;
    this.#workers = undefined;
    this.#freeSince.clear();
  }

  /** What is bad is told once, and again when it is bad in another way. */
  #tell<T>({ found, bad }: Read<T>, prefix: string): ReadonlyMap<string, T> {
    const now = new Map(bad.map(({ key, problem }) => [key, problem]));
    for (const key of this.#told.keys()) {
      if (key.startsWith(prefix) && !now.has(key)) this.#told.delete(key);
    }
    for (const record of bad) {
      if (this.#told.get(record.key) === record.problem) continue;
      this.#told.set(record.key, record.problem);
      this.#host.bad(record);
    }
    return found;
  }

  #count(): void {
    if (!this.ready) return;
    const now = this.#host.sync.clock.now();
    // A bad record in the place of a holder keeps the item from being had.
    const taken = (id: string): boolean => this.holders.has(id) || this.#told.has(this.#host.layout.held(id));
    for (const id of this.#freeSince.keys()) {
      if (!this.items.has(id) || taken(id)) this.#freeSince.delete(id);
    }
    for (const id of this.items.keys()) {
      if (!this.#freeSince.has(id) && !taken(id)) this.#freeSince.set(id, now);
    }
  }
}
