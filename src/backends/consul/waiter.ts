import type { Cursor, Scope } from '../../sync/backend.ts';
import { digestOf, type Listing, type Seen, seenBy, select, type Target, targetOf } from './scope.ts';

/** How long what may have come and gone is left unread, in milliseconds. */
const AMBIGUITY_BOUND = 1_000;
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/**
 * One blocked query. Settles once, by what comes first, and then leaves neither timer nor listener. It resolves with
 * the listing that woke it when that is the answer, and with nothing when its owner should read for itself.
 */
export class Waiter {
  readonly scope: Scope;
  readonly target: Target;
  readonly promise: Promise<Listing | undefined>;
  readonly #seen: Seen | undefined;
  readonly #ends: number;
  readonly #signal: AbortSignal;
  readonly #abort: () => void;
  readonly #onSettled: () => void;
  #resolve!: (listing: Listing | undefined) => void;
  #reject!: (error: unknown) => void;
  #timer: NodeJS.Timeout;
  #settled = false;
  #compared = false;

  constructor(
    scope: Scope,
    since: Cursor,
    wait: number,
    signal: AbortSignal,
    onSettled: (self: Waiter) => void,
  ) {
    this.scope = scope;
    this.target = targetOf(scope);
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#seen = seenBy(since);
    this.#ends = performance.now() + wait;
    this.#timer = this.#expireIn(wait);
    this.#signal = signal;
    this.#abort = () => this.fail(signal.reason);
    this.#onSettled = () => onSettled(this);
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** Whether what is there is not what its owner has seen. */
  differs(listing: Listing): boolean {
    return this.#seen?.digest !== digestOf(select(this.scope, listing.entries));
  }

  /** Whether its owner has seen something newer, that is not in this listing. */
  isAheadOf(listing: Listing): boolean {
    return this.differs(listing) && (this.#seen?.index ?? 0n) > listing.index;
  }

  /**
   * Looks at fresh state, and wakes if it is another. `exact`: the listing is what the owner itself would have read.
   * A listing of a group is not: an ACL leaves out what the token must not read, which looks like absence.
   */
  offer(listing: Listing, exact: boolean): boolean {
    if (this.differs(listing)) {
      const fresh = exact && listing.index >= (this.#seen?.index ?? 0n);
      this.wake(fresh ? listing : undefined);
      return true;
    }
    this.#compare(listing);
    return false;
  }

  wake(listing?: Listing): void {
    this.#settle(() => this.#resolve(listing));
  }

  fail(error: unknown): void {
    this.#settle(() => this.#reject(error));
  }

  /**
   * Something may have come and gone between the owner's read and now. The index cannot tell what it was, and on a
   * busy store is always newer, so this is no reason to wake at once; and no reason to block for long.
   */
  #compare(listing: Listing): void {
    if (this.#compared || this.#settled) return;
    this.#compared = true;
    const canHide = this.target.tree || select(this.scope, listing.entries).length === 0;
    if (!canHide || listing.index <= (this.#seen?.index ?? 0n)) return;
    clearTimeout(this.#timer);
    this.#timer = this.#expireIn(Math.min(this.#ends - performance.now(), AMBIGUITY_BOUND));
  }

  #expireIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.wake(), Math.min(Math.max(0, ms), LONGEST_TIMEOUT));
  }

  #settle(end: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#abort);
    end();
    this.#onSettled();
  }
}
