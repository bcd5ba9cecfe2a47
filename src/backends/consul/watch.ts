import { setTimeout as sleep } from 'node:timers/promises';
import { isSyncError } from '../../sync/backend.ts';
import { idOf } from './cover.ts';
import { TooLargeError } from './errors.ts';
import type { Reader } from './reader.ts';
import type { Listing, Target } from './scope.ts';
import { Throttle } from './throttle.ts';
import type { Waiter } from './waiter.ts';

/** Milliseconds. What a waiter is promised is bounded by its own timer; this is how often a quiet query is renewed. */
const SERVER_WAIT = 60_000;
/** Bytes. A prefix with more than this below it is not listed again and again for the few keys that matter. */
const LARGEST_LISTING = 4 * 1024 * 1024;
/** Milliseconds between reads where listing is not possible. */
const POLL = 1_000;

/**
 * One query that blocks for all its members. It runs while there are any, always beginning with a plain read: an
 * index may be older than the server, which would then wait for it in vain.
 */
export class Watch {
  readonly #query: Target;
  readonly #reader: Reader;
  readonly #members = new Set<Waiter>();
  readonly #throttle = new Throttle();
  #run: AbortController | undefined;
  /** What the query under way blocks on. Whatever differs from it is news that may not wake the query. */
  #blockedOn: Listing | undefined;
  #mode: 'list' | 'poll' = 'list';

  constructor(query: Target, reader: Reader) {
    this.#query = query;
    this.#reader = reader;
  }

  add(waiter: Waiter): void {
    this.#members.add(waiter);
    if (this.#run === undefined) this.#start();
    // A query that is not blocked yet, or one that polls, will look at this member too.
    else if (this.#blockedOn === undefined) return;
    else if (waiter.differs(this.#blockedOn)) this.#start();
    else waiter.offer(this.#blockedOn, false);
  }

  delete(waiter: Waiter): void {
    this.#members.delete(waiter);
    if (this.#members.size > 0) return;
    this.#stop();
  }

  #start(): void {
    this.#stop();
    const run = new AbortController();
    this.#run = run;
    const work = this.#mode === 'list' ? this.#list(run.signal) : this.#poll(run.signal);
    work.then(
      () => this.#ended(run),
      (error: unknown) => this.#failed(run, error),
    );
  }

  #stop(): void {
    this.#run?.abort();
    this.#run = undefined;
    this.#blockedOn = undefined;
  }

  #ended(run: AbortController): void {
    if (this.#run === run) this.#stop();
  }

  #failed(run: AbortController, error: unknown): void {
    if (this.#run !== run) return;
    this.#stop();
    // Both are about the prefix, not about its members.
    const tooWide = error instanceof TooLargeError || isSyncError(error, 'permission-denied');
    if (tooWide && !this.#isExact) {
      this.#mode = 'poll';
      this.#start();
    } else for (const member of [...this.#members]) member.fail(error);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const maxBytes = this.#isExact ? {} : { maxBytes: LARGEST_LISTING };
    let index: bigint | undefined;
    while (this.#members.size > 0) {
      const after = index === undefined ? {} : { after: { index, wait: SERVER_WAIT } };
      const listing = await this.#reader.read(this.#query, {
        lane: 'watches',
        signal,
        ...maxBytes,
        ...after,
      });
      if (signal.aborted) return;
      const backwards = listing.index === 0n || (index !== undefined && listing.index < index);
      index = backwards ? undefined : listing.index;
      this.#blockedOn = backwards ? undefined : listing;
      const woken = this.#offer([...this.#members], listing, this.#isExact);
      if (signal.aborted || this.#members.size === 0) return;
      if (!woken) await this.#throttle.take(signal);
    }
  }

  /** One read after the other, so that this takes no more connections than a query would. */
  async #poll(signal: AbortSignal): Promise<void> {
    while (this.#members.size > 0) {
      for (const { target, waiters } of byTarget(this.#members)) {
        try {
          this.#offer(waiters, await this.#reader.read(target, { lane: 'watches', signal }), true);
        } catch (error) {
          if (signal.aborted) return;
          for (const waiter of waiters) waiter.fail(error);
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
