import { Line } from '../async/line.ts';
import { SettleOnce } from '../async/settle-once.ts';
import { SyncError, type SyncManager } from '../index.ts';
import type { Lease } from './lease.ts';
import type { WaitRequest } from './options.ts';
import type { Item } from './snapshot.ts';
import type { Takes } from './takes.ts';

class Waiter<A, P> {
  inLine = false;
  before: Waiter<A, P> | undefined;
  behind: Waiter<A, P> | undefined;
  readonly lesseeId: string;
  /** A try is made in its name. */
  tried = false;
  readonly call = new SettleOnce<Lease<A, P>>();

  constructor(lesseeId: string) {
    this.lesseeId = lesseeId;
  }
}

/** Those of this process who wait for any item, first come first served. They ask the store only when one is free. */
export class Waiters<A, P> {
  readonly #sync: SyncManager;
  readonly #takes: Takes<A, P>;
  readonly #background: (task: Promise<unknown>) => void;
  readonly #trouble: (error: unknown, id: string) => void;
  readonly #line = new Line<Waiter<A, P>>();
  /** Tries that are made for whoever is first when they succeed. */
  #tries = 0;

  constructor(
    sync: SyncManager,
    takes: Takes<A, P>,
    background: (task: Promise<unknown>) => void,
    trouble: (error: unknown, id: string) => void,
  ) {
    this.#sync = sync;
    this.#takes = takes;
    this.#background = background;
    this.#trouble = trouble;
  }

  get length(): number {
    return this.#line.length;
  }

  add({ lesseeId, signal, timeout }: WaitRequest): Promise<Lease<A, P>> {
    const waiter = new Waiter<A, P>(lesseeId);
    waiter.call.finally(() => this.#line.delete(waiter)).follow(signal);
    if (timeout !== undefined) {
      const late = new SyncError('timeout', `no item was free within ${timeout} ms`, { outcome: 'refused' });
      waiter.call.after(this.#sync.clock, timeout, () => waiter.call.reject(late));
    }
    if (!waiter.call.settled) this.#line.push(waiter);
    return waiter.call.promise;
  }

  /** @param others the members that go for free items as well. */
  pump(others: readonly string[]): void {
    let wanted = Math.min(this.#line.length - this.#tries, this.#takes.room);
    if (wanted <= 0) return;
    for (const item of this.#takes.candidates(others)) {
      const waiter = wanted-- > 0 ? this.#untried : undefined;
      if (waiter === undefined) return;
      this.#tries += 1;
      waiter.tried = true;
      this.#background(this.#try(item, waiter, others.length + 1));
    }
  }

  reject(error: SyncError): void {
    for (const waiter of this.#line.reversed()) waiter.call.reject(error);
  }

  get #untried(): Waiter<A, P> | undefined {
    let waiter = this.#line.first;
    while (waiter?.tried === true) waiter = waiter.behind;
    return waiter;
  }

  async #try(item: Item<A>, waiter: Waiter<A, P>, candidates: number): Promise<void> {
    try {
      const lease = await this.#takes.take(item, waiter.lesseeId);
      if (lease !== undefined) await this.#give(lease);
      else this.#takes.missed(item.id, candidates);
    } catch (error) {
      this.#trouble(error, item.id);
      this.#takes.missed(item.id, candidates);
    } finally {
      waiter.tried = false;
      this.#tries -= 1;
    }
  }

  /** To the first in line for whom it is; to nobody, when all have given up meanwhile. */
  async #give(lease: Lease<A, P>): Promise<void> {
    const all = this.#line.reversed().reverse();
    const waiter = all.find(({ lesseeId }) => lesseeId === lease.lesseeId);
    if (waiter?.call.resolve(lease) !== true) await lease.release();
  }
}
