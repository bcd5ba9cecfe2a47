import { clearTimeout, monotonic, queueMicrotask, setTimeout } from '../../async/platform.ts';
import { expectManyListeners } from '../../async/realms.ts';
import { Window } from '../../async/window.ts';
import type { Cursor, Scope } from '../../contract/backend.ts';
import { OVER } from '../../contract/errors.ts';
import type { Cancel } from '../kit/driver.ts';
import type { Reader } from './reader.ts';
import type { Target } from './scope.ts';
import { idOf, sharedQueries } from './shared-queries.ts';
import { type Outcome, Waiter } from './waiter.ts';
import { Watch } from './watch.ts';

/** Milliseconds for which a target keeps its place: who was woken most often comes back to wait. */
const LINGER = 1_000;
/** Milliseconds from one plan to the next, so that many newcomers do not each rearrange the queries of all. */
const PLAN_INTERVAL = 50;
/** Planning for tens of thousands takes a while, and may not take all the time there is. */
const MOST_PLANNING = 1 / 20;

interface Interest {
  readonly target: Target;
  readonly waiters: Set<Waiter>;
  watch: Watch | undefined;
  leftAt: number;
}

/**
 * All that one client waits for, over a limited number of connections. Up to that number every target has a query of
 * its own; beyond it, neighbours share one on what they have in common.
 */
export class Watches {
  readonly #reader: Reader;
  readonly #budget: number;
  readonly #slots: Window;
  readonly #closing = new AbortController();
  readonly #interests = new Map<string, Interest>();
  #watches = new Map<string, Watch>();
  #planned: NodeJS.Timeout | undefined;
  #forgetting: NodeJS.Timeout | undefined;
  #plannedAt = Number.NEGATIVE_INFINITY;
  #planInterval = PLAN_INTERVAL;
  #waiting = 0;

  /** @param connections how many the reader has for this. */
  constructor(reader: Reader, connections: number) {
    this.#reader = reader;
    // A few are left for plain reads. Of the rest, one half is for the queries of a plan, and the other for those of
    // the plan before, which have to end by themselves.
    const blocking = connections - Math.ceil(connections / 12);
    this.#slots = new Window(blocking);
    this.#budget = Math.max(1, Math.floor(blocking / 2));
    // Every blocked query listens to it.
    expectManyListeners(this.#closing.signal);
  }

  /** Nobody waits any more: cuts off the queries that are still blocked. */
  end(): void {
    this.#closing.abort(OVER);
  }

  /** Calls `news` once, and never at once, when the scope may show something newer. */
  follow(scope: Scope, since: Cursor, news: (outcome: Outcome) => void): Cancel {
    const waiter = new Waiter(scope, since, (outcome, self) => {
      this.#leave(self);
      queueMicrotask(() => news(outcome));
    });
    this.#enter(waiter);
    return () => {
      if (waiter.end()) this.#leave(waiter);
    };
  }

  #enter(waiter: Waiter): void {
    const id = idOf(waiter.target);
    const interest = this.#interests.get(id) ?? newInterest(waiter.target);
    this.#interests.set(id, interest);
    interest.waiters.add(waiter);
    this.#waiting++;
    if (interest.watch !== undefined) interest.watch.add(waiter);
    else if (this.#interests.size <= this.#budget) this.#plan();
    else this.#schedule();
  }

  #leave(waiter: Waiter): void {
    const interest = this.#interests.get(idOf(waiter.target));
    if (interest === undefined) return;
    interest.waiters.delete(waiter);
    interest.leftAt = monotonic();
    interest.watch?.delete(waiter);
    this.#waiting--;
    if (this.#waiting > 0) {
      if (interest.waiters.size === 0) this.#forgetLater();
      return;
    }
    clearTimeout(this.#planned);
    this.#planned = undefined;
    clearTimeout(this.#forgetting);
    this.#forgetting = undefined;
    this.#interests.clear();
    this.#forgetIdle();
  }

  /** Keys that nobody waits for any more must not be kept for as long as anybody waits for anything. */
  #forgetLater(): void {
    this.#forgetting ??= setTimeout(() => {
      this.#forgetting = undefined;
      if (this.#waiting > 0) this.#schedule();
    }, LINGER + PLAN_INTERVAL).unref();
  }

  #forgetIdle(): void {
    for (const [id, watch] of this.#watches) if (!watch.busy) this.#watches.delete(id);
  }

  #schedule(): void {
    if (this.#planned !== undefined) return;
    const pause = Math.max(0, this.#plannedAt + this.#planInterval - monotonic());
    this.#planned = setTimeout(() => {
      this.#planned = undefined;
      this.#plan();
    }, pause);
  }

  #plan(): void {
    this.#plannedAt = monotonic();
    this.#forgetIdle();
    const shared = sharedQueries(this.#targets(), this.#budget);
    const moves: [Waiter, Watch][] = [];
    for (const { query, members } of shared) {
      const id = idOf(query);
      // Also one that was given up, and whose query is still blocked.
      const watch =
        this.#watches.get(id) ?? new Watch(query, this.#reader, this.#slots, this.#closing.signal);
      this.#watches.set(id, watch);
      for (const target of members) moves.push(...this.#assign(target, watch));
    }
    // Only after every query that nobody needs is cut off, so that there are connections for the new ones.
    for (const [waiter, watch] of moves) watch.add(waiter);
    this.#planInterval = Math.max(PLAN_INTERVAL, (monotonic() - this.#plannedAt) / MOST_PLANNING);
  }

  /** Who has to move to this watch; each has left the one before. */
  #assign(target: Target, watch: Watch): [Waiter, Watch][] {
    const interest = this.#interests.get(idOf(target));
    if (interest === undefined || interest.watch === watch) return [];
    const { watch: previous, waiters } = interest;
    interest.watch = watch;
    return [...waiters].map((waiter) => {
      previous?.delete(waiter);
      return [waiter, watch];
    });
  }

  /** All that are waited for; and those that lingering costs nothing, or keeps the groups as they are. */
  #targets(): Target[] {
    const since = monotonic() - LINGER;
    const interests = [...this.#interests.values()];
    const active = interests.filter(({ waiters }) => waiters.size > 0);
    const recent = interests
      .filter(({ waiters, leftAt }) => waiters.size === 0 && leftAt >= since)
      .toSorted((a, b) => b.leftAt - a.leftAt);
    const spare = active.length > this.#budget ? recent.length : this.#budget - active.length;
    const kept = new Set([...active, ...recent.slice(0, spare)]);
    for (const interest of interests) if (!kept.has(interest)) this.#interests.delete(idOf(interest.target));
    return [...kept].map(({ target }) => target);
  }
}

function newInterest(target: Target): Interest {
  return { target, waiters: new Set(), watch: undefined, leftAt: 0 };
}
