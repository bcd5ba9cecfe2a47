import { BehaviorSubject, type Observable } from 'rxjs';
import type { Timer } from '../async/clock.ts';
import { IsolatedObservable } from '../async/isolated-observable.ts';
import { within } from '../async/within.ts';
import { SyncError, type SyncManager } from '../index.ts';
import type { Lease } from './lease.ts';
import type { Share } from './membership.ts';
import type { HandlingOptions, LeaseHandler } from './options.ts';
import type { PoolView } from './pool-view.ts';
import { quotas, score } from './shares.ts';
import type { Item, Worker } from './snapshot.ts';
import type { Takes } from './takes.ts';

export interface FleetHost<A, P> {
  readonly sync: SyncManager;
  readonly member: string;
  readonly view: PoolView<A>;
  readonly takes: Takes<A, P>;
  background(task: Promise<unknown>): void;
  report(error: unknown): void;
  trouble(error: unknown, id: string): void;
  handlerFailed(error: unknown, id: string): void;
  asked(id: string): void;
  /** It takes nothing any more. */
  leaving(): void;
  stopped(): void;
}

export interface FleetOptions extends HandlingOptions {
  readonly lesseeId: string;
  /** `share`: as many as are this worker's by weight; else as many as are free, up to `maxItems`. */
  readonly share: boolean;
  readonly weight: number;
  readonly maxItems: number;
}

interface Entry<A, P> {
  readonly lease: Lease<A, P>;
  /** Ends its grant, once it was asked to finish. */
  deadline: Timer | undefined;
}

/** Milliseconds after which shares are reckoned anew although nobody came or went: what was seen may have been in between. */
const RECKON_EVERY = 2_000;

/** Milliseconds for which an item is left to those whose share it seems to be. */
const ODD_ITEM = 1_000;

/** Items that this process works on, and the handlers that do. */
export class Fleet<A, P> implements AsyncDisposable {
  /** The ids of the items that are worked on now. */
  readonly assignment$: Observable<readonly string[]>;
  readonly #host: FleetHost<A, P>;
  readonly #options: FleetOptions;
  readonly #handler: LeaseHandler<A, P>;
  readonly #assignment = new BehaviorSubject<readonly string[]>([]);
  readonly #entries = new Map<string, Entry<A, P>>();
  /** Handlers and tries under way, by their items. */
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, number>();
  #plan: { readonly key: string; readonly at: number; readonly keeps: number } | undefined;
  #again: Timer | undefined;
  #stopping: Promise<void> | undefined;
  #running = true;

  /** @internal */
  constructor(host: FleetHost<A, P>, options: FleetOptions, handler: LeaseHandler<A, P>) {
    this.#host = host;
    this.#options = options;
    this.#handler = handler;
    this.assignment$ = new IsolatedObservable<readonly string[]>(
      (error) => host.report(error),
      (subscriber) => this.#assignment.subscribe(subscriber),
    );
  }

  /** @internal What the others are to see of it. */
  get worker(): Share {
    const { share, weight, maxItems } = this.#options;
    return { weight: share ? weight : 0, maxItems };
  }

  /** @internal Whether it takes items. */
  get running(): boolean {
    return this.#running;
  }

  /**
   * Takes nothing more, asks all handlers to finish, and gives their items back as they do; those that go on for longer than
   * `yieldTimeout` lose theirs. Resolves when every handler has ended or was given up. Idempotent; never rejects.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** @internal Something is not as it was. */
  pump(): void {
    if (!this.running) return;
    const { share, maxItems } = this.#options;
    const { view, member } = this.#host;
    if (share) this.#balance();
    else this.#take(maxItems, view.rivalsOf(member), 0);
  }

  #balance(): void {
    const { view, member } = this.#host;
    // Workers that begin together see one another before they take anything: else each would take all.
    if (!view.workers.has(member)) return;
    const quota = this.#quota();
    const target = quota.get(member) ?? 0;
    const excess = this.#staying - Math.max(target, this.#keeps(quota));
    if (excess > 0) {
      this.#giveWay(excess, quota);
      return;
    }
    // Kept for now, and to be looked at again when nothing else makes for that.
    if (this.#staying > target) this.#reckonAgain();
    const rivals = view.rivalsOf(member, quota);
    this.#take(target, rivals, 0);
    if (view.free.size === 0) return;
    // Workers that saw it at different moments may each hold that another one has the odd item: then whoever is first takes it.
    this.#take(Math.min(target + 1, this.#upper), rivals, ODD_ITEM);
    this.#reckonAgain();
  }

  /** The larger one of the shares that may be ours, where they cannot be equal. */
  get #upper(): number {
    const { view, member } = this.#host;
    const { weight, maxItems } = this.#options;
    let all = weight;
    for (const worker of view.workers.values()) if (worker.member !== member) all += worker.weight;
    return Math.min(maxItems, Math.ceil((view.items.size * weight) / all));
  }

  /** Those that were not asked to go. */
  get #staying(): number {
    let count = 0;
    for (const { deadline } of this.#entries.values()) if (deadline === undefined) count += 1;
    return count;
  }

  /** How many each should have, as things are at this moment. */
  #quota(): Map<string, number> {
    return quotas(this.#sharing, this.#held(), this.#host.view.items.size);
  }

  get #sharing(): Worker[] {
    return [...this.#host.view.workers.values()].filter(({ weight }) => weight > 0);
  }

  /**
   * How many this one may keep: reckoned when somebody comes or goes, and not with every item that moves. While some have given way
   * and others not yet, shares that differ by one would change hands, and items move for nothing.
   */
  #keeps(quota: Map<string, number>): number {
    const { sync, view, member } = this.#host;
    const now = sync.clock.now();
    const crowd = this.#sharing.map((worker) => Object.values(worker).map(String).join()).toSorted();
    const key = [view.items.size, ...crowd].join(';');
    if (this.#plan?.key !== key || now - this.#plan.at >= RECKON_EVERY) {
      this.#plan = { key, at: now, keeps: quota.get(member) ?? 0 };
    }
    return this.#plan.keeps;
  }

  /** How many each has; of this one it is known. */
  #held(): Map<string, number> {
    return this.#host.view.counts().set(this.#host.member, this.#entries.size);
  }

  /** @param later milliseconds for which others have the first try. */
  #take(target: number, rivals: readonly string[], later: number): void {
    const wanted = Math.min(target - this.#underWay.size, this.#host.takes.room);
    if (wanted <= 0) return;
    for (const item of this.#host.takes.candidates(rivals, later).slice(0, wanted)) {
      this.#begin(item, rivals.length + 1);
    }
  }

  /** Asks as many handlers to finish as there are items that others lack, and that are not free anyway. */
  #giveWay(excess: number, quota: ReadonlyMap<string, number>): void {
    const { view, member } = this.#host;
    const held = this.#held();
    let lacking = -view.free.size - (this.#entries.size - this.#staying);
    for (const [other, share] of quota) {
      if (other !== member) lacking += Math.max(0, share - (held.get(other) ?? 0));
    }
    const going = Math.min(excess, lacking);
    this.#reckonAgain();
    if (going <= 0) return;
    const staying = [...this.#entries].filter(([, { deadline }]) => deadline === undefined);
    const worst = staying.toSorted(([a], [b]) => score(a, member) - score(b, member)).slice(0, going);
    for (const [, entry] of worst) this.#ask(entry, 'another worker is to have it');
  }

  #reckonAgain(): void {
    this.#again ??= this.#host.sync.clock.after(RECKON_EVERY, () => {
      this.#again = undefined;
      this.pump();
    });
  }

  #ask(entry: Entry<A, P>, why: string): void {
    const { lease } = entry;
    const { yieldTimeout } = this.#options;
    entry.deadline = this.#host.sync.clock.after(yieldTimeout, () => {
      const late = `the item ${JSON.stringify(lease.id)} was not given back within the ${yieldTimeout} ms of \`yieldTimeout\``;
      this.#host.background(lease.end('yield-timeout', late));
    });
    this.#host.asked(lease.id);
    lease.yield(
      new SyncError('released', `the item ${JSON.stringify(lease.id)} is to be given back: ${why}`),
    );
  }

  #begin(item: Item<A>, candidates: number): void {
    const run: Promise<void> = this.#run(item, candidates).finally(() => {
      // By its end it may have been begun again.
      if (this.#underWay.get(item.id) === run) this.#underWay.delete(item.id);
      this.pump();
    });
    this.#underWay.set(item.id, run);
    // Not in the background: stopping does not wait for a handler that never ends.
    run.catch((error: unknown) => this.#host.report(error));
  }

  async #run(item: Item<A>, candidates: number): Promise<void> {
    const { takes, trouble } = this.#host;
    let lease: Lease<A, P> | undefined;
    try {
      lease = await takes.take(item, this.#options.lesseeId);
    } catch (error) {
      trouble(error, item.id);
    }
    if (lease === undefined) {
      takes.missed(item.id, candidates);
      return;
    }
    // Taken while it was told to stop: no handler begins for it.
    if (this.running) await this.#work(lease);
    else await lease.release();
  }

  async #work(lease: Lease<A, P>): Promise<void> {
    const { takes, handlerFailed } = this.#host;
    const { id } = lease;
    const entry: Entry<A, P> = { lease, deadline: undefined };
    takes.begin(id);
    this.#entries.set(id, entry);
    this.#tell();
    try {
      await this.#handler(lease);
      this.#failures.delete(id);
      if (!lease.yielding.aborted) takes.pause(id, this.#options.backoff[0]);
    } catch (error) {
      // A handler that ends since it was told so has not failed.
      if (!told(lease.signal, error) && !told(lease.yielding, error)) {
        this.#failed(id);
        handlerFailed(error, id);
      }
    }
    entry.deadline?.cancel();
    await lease.release();
    this.#entries.delete(id);
    this.#tell();
    takes.end(id);
  }

  #failed(id: string): void {
    const failures = this.#failures.get(id) ?? 0;
    const [first, most] = this.#options.backoff;
    this.#failures.set(id, failures + 1);
    const ms = Math.min(most, first * 2 ** failures);
    this.#host.takes.pause(id, ms * (0.75 + this.#host.sync.clock.random() / 2));
  }

  #tell(): void {
    this.#assignment.next([...this.#entries.keys()]);
  }

  async #stop(): Promise<void> {
    this.#running = false;
    this.#again?.cancel();
    this.#host.leaving();
    for (const entry of this.#entries.values()) {
      if (entry.deadline === undefined) this.#ask(entry, 'the worker stops');
    }
    const all = Promise.all(this.#underWay.values());
    // A handler that never ends keeps nobody waiting: its grant is over.
    await within(this.#host.sync.clock, this.#options.yieldTimeout + 1_000, all);
    this.#assignment.complete();
    this.#host.stopped();
  }
}

function told({ aborted, reason }: AbortSignal, error: unknown): boolean {
  return aborted && error === reason;
}
