import { onAbort } from '../../async/signal-listeners.ts';
import { type CommitResult, SyncError } from '../../sync/backend.ts';
import { keyOf } from './operation.ts';
import { LARGEST_REQUEST, MOST_OPERATIONS, type Request, type Transaction } from './transaction.ts';

/** A commit that may stand beside others. */
export type Sharing = Transaction & { readonly plain: Request };

/** One for all: an error costs a stack trace, and this one tells nobody. */
const OVER = new SyncError('stopped', 'nobody waits any more');

/** Commits that share a request, never two for one key. */
export class Batch {
  /** Those that have had no answer yet. */
  readonly waiting = new Set<Member>();
  readonly #keys = new Set<string>();
  readonly #controller = new AbortController();
  #operations = 0;
  #bytes = 0;

  /** Aborts when nobody waits for any of it. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  takes({ plain, commit: { when, then } }: Sharing): boolean {
    // Everybody left before it was sent.
    if (this.#controller.signal.aborted) return false;
    if (this.#operations + plain.count > MOST_OPERATIONS) return false;
    if (this.#bytes + plain.bytes > LARGEST_REQUEST - MOST_OPERATIONS) return false;
    for (const { key } of when) if (this.#keys.has(key)) return false;
    for (const mutation of then) if (this.#keys.has(keyOf(mutation))) return false;
    return true;
  }

  add(member: Member): void {
    const { plain, commit } = member.transaction;
    this.waiting.add(member);
    this.#operations += plain.count;
    this.#bytes += plain.bytes;
    for (const { key } of commit.when) this.#keys.add(key);
    for (const mutation of commit.then) this.#keys.add(keyOf(mutation));
  }

  abandon(): void {
    this.#controller.abort(OVER);
  }
}

/** Whoever issued one of these commits, and is told once what became of it. */
export class Member {
  readonly transaction: Sharing;
  readonly signal: AbortSignal;
  readonly #batch: Batch;
  readonly #resolve: (result: CommitResult | Promise<CommitResult>) => void;
  readonly #reject: (error: unknown) => void;
  readonly #unlisten: () => void;

  constructor(
    transaction: Sharing,
    signal: AbortSignal,
    batch: Batch,
    resolve: (result: CommitResult | Promise<CommitResult>) => void,
    reject: (error: unknown) => void,
  ) {
    this.transaction = transaction;
    this.signal = signal;
    this.#batch = batch;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#unlisten = onAbort(signal, () => this.giveUp(signal.reason));
  }

  giveUp(reason: unknown): void {
    if (!this.#leave()) return;
    this.#reject(reason);
    if (this.#batch.waiting.size === 0) this.#batch.abandon();
  }

  fail(error: unknown): void {
    if (this.#leave()) this.#reject(error);
  }

  settle(result: CommitResult): void {
    if (this.#leave()) this.#resolve(result);
  }

  /** From here on somebody else listens to its signal. */
  goOn(work: () => Promise<CommitResult>): void {
    if (this.#leave()) this.#resolve(work());
  }

  #leave(): boolean {
    if (!this.#batch.waiting.delete(this)) return false;
    this.#unlisten();
    return true;
  }
}
