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
    const { room } = this.#takes;
    const untried = this.#untried(room);
    if (untried.length === 0) return;
    const items = this.#takes.candidates(others);
    for (const [n, waiter] of untried.slice(0, items.length).entries()) {
      waiter.tried = true;
      this.#background(this.#try(items[n] as Item<A>, waiter, others.length + 1));
    }
  }

  reject(error: SyncError): void {
    for (const waiter of this.#line.reversed()) waiter.call.reject(error);
  }

  /** The first of those in whose name nothing is tried. */
  #untried(most: number): Waiter<A, P>[] {
    const found: Waiter<A, P>[] = [];
    for (let waiter = this.#line.first; waiter !== undefined && found.length < most; waiter = waiter.behind) {
      if (!waiter.tried) found.push(waiter);
    }
    return found;
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
    }
  }

  /** To the first in line for whom it is; to nobody, when all have given up meanwhile. */
  async #give(lease: Lease<A, P>): Promise<void> {
    let waiter = this.#line.first;
    while (waiter !== undefined && waiter.lesseeId !== lease.lesseeId) waiter = waiter.behind;
    if (waiter?.call.resolve(lease) !== true) await lease.release();
  }
}
