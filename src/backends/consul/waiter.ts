import { clearTimeout, setTimeout } from '../../async/platform.ts';
import type { Cursor, Scope } from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';
import { digestOf, type Listing, type Seen, seenBy, select, type Target, targetOf } from './scope.ts';

/** How long what may have come and gone is left unread, in milliseconds. */
const AMBIGUITY_BOUND = 1_000;

/** What a waiter has come to: the listing that woke it, if that is the answer; nothing, if its owner should read. */
export type Outcome = { readonly listing?: Listing | undefined } | { readonly error: SyncError };

/** Somebody who waits for news of a scope. Told once, by what comes first, and then it leaves no timer. */
export class Waiter {
  readonly scope: Scope;
  readonly target: Target;
  readonly #seen: Seen | undefined;
  readonly #tell: (outcome: Outcome, self: Waiter) => void;
  #timer: NodeJS.Timeout | undefined;
  #settled = false;
  #compared = false;

  constructor(scope: Scope, since: Cursor, tell: (outcome: Outcome, self: Waiter) => void) {
    this.scope = scope;
    this.target = targetOf(scope);
    this.#seen = seenBy(since);
    this.#tell = tell;
  }

  /** Whether what is there is not what its owner has seen. */
  differs(listing: Listing): boolean {
    return this.#seen?.digest !== digestOf(this.scope, select(this.scope, listing.entries));
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
    this.#settle({ listing });
  }

  fail(error: SyncError): void {
    this.#settle({ error });
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
    this.#timer = setTimeout(() => this.wake(), AMBIGUITY_BOUND);
  }

  /** Nobody is told any more. */
  end(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#timer);
    return true;
  }

  #settle(outcome: Outcome): void {
    if (this.end()) this.#tell(outcome, this);
  }
}
