import { sleep } from '../../async/platform.ts';
import type { Window } from '../../async/window.ts';
import { isSyncError, type SyncError } from '../../contract/errors.ts';
import { TooLargeError } from './errors.ts';
import type { Reader } from './reader.ts';
import type { Listing, Target } from './scope.ts';
import { idOf } from './shared-queries.ts';
import { Throttle } from './throttle.ts';
import type { Waiter } from './waiter.ts';

/**
 * Milliseconds that the server is asked to block. What a waiter is promised is bounded elsewhere, by the kit; this bounds
 * how long a query goes on that nobody needs any more, since it is never cut off. And each query that ends is a look at all
 * that it is about, which holders rely on: so it is less than the shortest session is believed in.
 */
const SERVER_WAIT = 7_000;

/** Milliseconds within which all that is watched was read again: the server adds up to a sixteenth to its wait. */
export const REREADS = 8_000;

/** Bytes. A prefix with more than this below it is not listed again and again for the few keys that matter. */
const LARGEST_LISTING = 4 * 1024 * 1024;
/** What is listed for nothing is asked for the more rarely, the more it is: while thousands of locks are taken, each is news. */
const ENTRIES_A_TOKEN = 500;
/** Milliseconds between reads where listing is not possible. */
const POLL = 1_000;

/**
 * One query that blocks for all its members, always beginning with a plain read: an index may be older than the
 * server, which would then wait for it in vain.
 *
 * A blocked query is left to end by itself, even when its last member has gone. Consul does not notice that a client
 * has hung up on one: it keeps the connection, and counts it against the client's limit, until the query is over.
 * Most often that is soon, because what was waited for has happened.
 */
export class Watch {
  readonly #query: Target;
  readonly #reader: Reader;
  /** How many queries may block at a time, those that nobody needs any more included. */
  readonly #slots: Window;
  readonly #closing: AbortSignal;
  readonly #members = new Set<Waiter>();
  readonly #throttle = new Throttle();
  #run: AbortController | undefined;
  /** What was listed last, and nothing newer is known of: newcomers have to see it too. */
  #latest: Listing | undefined;
  #blocked = false;
  #listable = true;

  /** @param closing ends a blocked query after all, on disposal. */
  constructor(query: Target, reader: Reader, slots: Window, closing: AbortSignal) {
    this.#query = query;
    this.#reader = reader;
    this.#slots = slots;
    this.#closing = closing;
  }

  /** Whether a request is, or will be, on its way. */
  get busy(): boolean {
    return this.#run !== undefined;
  }

  add(waiter: Waiter): void {
    this.#members.add(waiter);
    if (this.#run === undefined) this.#start();
    // One that has seen more than the query began with: the query is about to end for the same reason.
    else if (this.#latest !== undefined && !waiter.isAheadOf(this.#latest)) waiter.offer(this.#latest, false);
  }

  delete(waiter: Waiter): void {
    this.#members.delete(waiter);
    if (this.#members.size === 0 && !this.#blocked) this.#stop();
  }

  #start(): void {
    const run = new AbortController();
    this.#run = run;
    this.#work(run.signal).then(
      () => this.#ended(run),
      (error: SyncError) => this.#failed(run, error),
    );
  }

  #stop(): void {
    this.#run?.abort();
    this.#run = undefined;
    this.#latest = undefined;
  }

  #ended(run: AbortController): void {
    if (this.#run !== run) return;
    this.#stop();
    if (this.#members.size > 0) this.#start();
  }

  #failed(run: AbortController, error: SyncError): void {
    if (this.#run !== run) return;
    this.#stop();
    // Both are about the prefix, not about its members.
    const tooWide = error instanceof TooLargeError || isSyncError(error, 'permission-denied');
    if (tooWide && !this.#isExact) {
      this.#listable = false;
      if (this.#members.size > 0) this.#start();
    } else for (const member of [...this.#members]) member.fail(error);
  }

  async #work(signal: AbortSignal): Promise<void> {
    if (!this.#listable) return this.#poll(signal, () => false);
    let index: bigint | undefined;
    let listing = await this.#list(signal);
    while (!signal.aborted) {
      const backwards = listing.index === 0n || (index !== undefined && listing.index < index);
      this.#latest = listing;
      const woken = this.#offer([...this.#members], listing, this.#isExact);
      if (this.#members.size === 0) return;
      if (!woken) await this.#throttle.take(signal, 1 + listing.entries.length / ENTRIES_A_TOKEN);
      if (signal.aborted || this.#members.size === 0) return;
      if (backwards) {
        index = undefined;
        this.#latest = undefined;
        listing = await this.#list(signal);
      } else if (!this.#slots.tryEnter()) {
        this.#latest = undefined;
        await this.#poll(signal, () => this.#slots.hasRoom);
        return;
      } else {
        index = listing.index;
        this.#blocked = true;
        try {
          listing = await this.#list(this.#closing, { index, wait: SERVER_WAIT });
        } finally {
          this.#blocked = false;
          this.#slots.leave();
        }
      }
    }
  }

  #list(signal: AbortSignal, after?: { index: bigint; wait: number }): Promise<Listing> {
    const maxBytes = this.#isExact ? {} : { maxBytes: LARGEST_LISTING };
    return this.#reader.read(this.#query, { lane: 'watches', signal, ...maxBytes, ...(after && { after }) });
  }

  /** One read after the other, so that this takes no more connections than a query would. */
  async #poll(signal: AbortSignal, isOver: () => boolean): Promise<void> {
    while (this.#members.size > 0 && !isOver()) {
      for (const { target, waiters } of byTarget(this.#members)) {
        try {
          this.#offer(waiters, await this.#reader.read(target, { lane: 'watches', signal }), true);
        } catch (error) {
          if (signal.aborted) return;
          for (const waiter of waiters) waiter.fail(error as SyncError);
        }
      }
      if (!signal.aborted && this.#members.size > 0) await sleep(POLL, undefined, { signal });
    }
  }

  #offer(waiters: readonly Waiter[], listing: Listing, exact: boolean): boolean {
    let woken = false;
    for (const waiter of waiters) woken = waiter.offer(listing, exact) || woken;
    return woken;
  }

  /** Nothing but what the members themselves ask for. */
  get #isExact(): boolean {
    for (const { target } of this.#members) if (idOf(target) !== idOf(this.#query)) return false;
    return true;
  }
}

function byTarget(waiters: Iterable<Waiter>): { target: Target; waiters: Waiter[] }[] {
  const found = new Map<string, { target: Target; waiters: Waiter[] }>();
  for (const waiter of waiters) {
    const group = found.get(idOf(waiter.target));
    if (group === undefined) found.set(idOf(waiter.target), { target: waiter.target, waiters: [waiter] });
    else group.waiters.push(waiter);
  }
  return [...found.values()];
}
