import type { Clock, Timer } from '../async/clock.ts';
import type { CallOptions, Claim, SyncManager } from '../index.ts';
import { Lease, type LeaseLoss } from './lease.ts';
import type { Selection } from './options.ts';
import type { PoolView } from './pool-view.ts';
import { decode, encode, type Layout } from './records.ts';
import { paceOf, patienceOf, pauseOf, rank } from './shares.ts';
import type { BadRecord, Item } from './snapshot.ts';

export interface TakesHost<A> {
  readonly sync: SyncManager;
  readonly layout: Layout;
  readonly member: string;
  readonly view: PoolView<A>;
  readonly select: Selection<A>;
  readonly maxItems: number;
  /** Items may have become free, or may be tried by now. */
  changed(): void;
  obtained(lease: { readonly id: string; readonly token: bigint }, freeFor: number | undefined): void;
  ended(id: string, token: bigint, loss: LeaseLoss | undefined): void;
  report(error: unknown): void;
  bad(record: BadRecord): void;
  /** Of an item that could not be claimed. */
  trouble(error: unknown, id: string): void;
}

/** Milliseconds for which an item is left alone whose position cannot be read. */
const UNREADABLE = 60_000;

/** Takes items for this process, and knows those that it has. */
export class Takes<A, P> {
  readonly #host: TakesHost<A>;
  readonly #leases = new Map<string, Lease<A, P>>();
  readonly #trying = new Map<
    string,
    { readonly lesseeId: string; readonly taken: Promise<Lease<A, P> | undefined> }
  >();
  /** Items that are left alone until then. Monotonic milliseconds. */
  readonly #notBefore = new Map<string, number>();
  /** Items whose handler still runs here, whether or not they are leased. */
  readonly #inWork = new Set<string>();
  /** Items of which the store is being asked whether they are still there. */
  readonly #confirming = new Set<string>();
  /** When an item was seen in the hands of somebody last. */
  readonly #lastHeld = new Map<string, number>();
  #timer: { readonly timer: Timer; readonly at: number } | undefined;

  constructor(host: TakesHost<A>) {
    this.#host = host;
  }

  get leases(): ReadonlyMap<string, Lease<A, P>> {
    return this.#leases;
  }

  /** How many more may be taken. */
  get room(): number {
    return this.#host.maxItems - this.#leases.size - this.#trying.size;
  }

  /** Tries to take this one now. `undefined`: somebody else has it, or it is not there any more. */
  take(item: Item<A>, lesseeId: string, call: CallOptions = {}): Promise<Lease<A, P> | undefined> {
    const { id } = item;
    if (this.#trying.has(id) || this.#leases.has(id)) return Promise.resolve(undefined);
    const taken = this.#take(item, lesseeId, call).finally(() => this.#trying.delete(id));
    this.#trying.set(id, { lesseeId, taken });
    return taken;
  }

  /** What becomes of a try that this lessee has under way. */
  asked(id: string, lesseeId: string): Promise<Lease<A, P> | undefined> | undefined {
    const trying = this.#trying.get(id);
    return trying?.lesseeId === lesseeId ? trying.taken : undefined;
  }

  async #take(item: Item<A>, lesseeId: string, call: CallOptions): Promise<Lease<A, P> | undefined> {
    const { sync, layout, member, view, bad } = this.#host;
    const { id } = item;
    const freeSince = view.free.get(id);
    const claim = await sync.claim(layout.held(id), {
      value: encode({ lessee: lesseeId, member, since: Math.floor(this.#clock.wall()) }),
      when: [{ key: layout.item(id), revision: item.revision }],
      read: { key: layout.position(id) },
      ...call,
    });
    const [position] = claim?.read ?? [];
    const problem = position && decode(position);
    if (claim === undefined || typeof problem !== 'string') {
      return claim && this.#hold(claim, item, lesseeId, freeSince);
    }
    // Whoever can read it goes on from there: a checkpoint of ours would take that away.
    bad({ key: layout.position(id), problem });
    this.pause(id, UNREADABLE);
    await claim.release();
    return undefined;
  }

  /**
   * The free items that may be tried now, by those that go for them, the best first. For later ones `changed` is called in time.
   *
   * @param others the members that go for free items as well.
   * @param later milliseconds for which they have the first try.
   */
  candidates(others: readonly string[], later = 0): Item<A>[] {
    const { view, member } = this.#host;
    const now = this.#clock.now();
    const found: Item<A>[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [id, since] of view.free) {
      const item = view.items.get(id);
      if (item === undefined || this.#isTaken(id)) continue;
      const due = Math.max(
        since + patienceOf(rank(id, member, others), this.#pace) + later,
        this.#notBefore.get(id) ?? 0,
      );
      if (due <= now) found.push(item);
      else next = Math.min(next, due);
    }
    this.#wakeAt(next);
    return this.#inOrder(found);
  }

  /** All that seem to be free, whoever else goes for them. */
  allFree(): Item<A>[] {
    const { view } = this.#host;
    const free = [...view.free.keys()].filter((id) => !this.#isTaken(id));
    return this.#inOrder(free.flatMap((id) => view.items.get(id) ?? []));
  }

  /** It could not be had although it seemed free: held back, or another one was quicker and that is not seen yet. */
  missed(id: string, candidates: number): void {
    const at = this.#clock.now() + pauseOf(candidates, this.#pace);
    this.#notBefore.set(id, Math.max(at, this.#notBefore.get(id) ?? 0));
  }

  pause(id: string, ms: number): void {
    this.#notBefore.set(id, this.#clock.now() + ms);
  }

  /** Its handler has begun; the item is not taken again here before that has ended. */
  begin(id: string): void {
    this.#inWork.add(id);
  }

  end(id: string): void {
    this.#inWork.delete(id);
    this.#host.changed();
  }

  /** To be called when the view has changed. */
  look(): void {
    const { view } = this.#host;
    const now = this.#clock.now();
    for (const id of view.holders.keys()) {
      this.#lastHeld.set(id, now);
      // Whoever was quicker is seen by now.
      this.#notBefore.delete(id);
    }
    for (const id of this.#lastHeld.keys()) if (!view.items.has(id)) this.#lastHeld.delete(id);
    for (const [id, lease] of this.#leases) {
      // Or it was added again since: then nothing of before belongs to it.
      if (view.items.get(id)?.created === lease.item.created || this.#confirming.has(id)) continue;
      this.#confirming.add(id);
      this.#confirm(id, lease)
        .catch((error: unknown) => this.#host.trouble(error, id))
        .finally(() => this.#confirming.delete(id));
    }
  }

  /** It is not where it was seen last. That may have been before it was added: `lease` asks the store itself. */
  async #confirm(id: string, lease: Lease<A, P>): Promise<void> {
    const { sync, layout } = this.#host;
    const [record] = (await sync.query({ key: layout.item(id) })).records;
    if (record?.created === lease.item.created) return;
    await lease.end('removed', `the item ${JSON.stringify(id)} was removed from the pool`);
  }

  stop(): void {
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  get #pace(): number {
    return paceOf(this.#host.sync.traits.maxLockDelay);
  }

  get #clock(): Clock {
    return this.#host.sync.clock;
  }

  #isTaken(id: string): boolean {
    return this.#leases.has(id) || this.#trying.has(id) || this.#inWork.has(id);
  }

  #hold(claim: Claim, item: Item<A>, lesseeId: string, freeSince: number | undefined): Lease<A, P> {
    const { sync, layout, view, report } = this.#host;
    const host = {
      sync,
      layout,
      item: (id: string) => view.items.get(id),
      ended: (id: string, loss: LeaseLoss | undefined) => {
        if (this.#leases.get(id) === lease) this.#leases.delete(id);
        this.#host.ended(id, claim.token, loss);
        this.#host.changed();
      },
      report,
    };
    const lease: Lease<A, P> = new Lease<A, P>(host, claim, item, lesseeId);
    lease.begin();
    if (lease.held || claim.suspended) this.#leases.set(item.id, lease);
    this.#host.obtained(lease, freeSince === undefined ? undefined : this.#clock.now() - freeSince);
    return lease;
  }

  #inOrder(items: Item<A>[]): Item<A>[] {
    const { select } = this.#host;
    if (typeof select === 'function') {
      try {
        return select(items).filter((item) => items.includes(item));
      } catch (error) {
        this.#host.report(error);
      }
    }
    if (select === 'least-recent') {
      return items.sort((a, b) => (this.#lastHeld.get(a.id) ?? 0) - (this.#lastHeld.get(b.id) ?? 0));
    }
    const start = Math.floor(this.#clock.random() * items.length);
    return [...items.slice(start), ...items.slice(0, start)];
  }

  #wakeAt(at: number): void {
    if (this.#timer !== undefined) {
      if (this.#timer.at <= at) return;
      this.#timer.timer.cancel();
      this.#timer = undefined;
    }
    if (at === Number.POSITIVE_INFINITY) return;
    const timer = this.#clock.after(at - this.#clock.now(), () => {
      this.#timer = undefined;
      this.#host.changed();
    });
    this.#timer = { timer, at };
  }
}
