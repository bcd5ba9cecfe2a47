import { onAbort } from '../../async/signal-listeners.ts';
import type { CommitResult } from '../../contract/backend.ts';
import { keyOf } from '../../contract/validate.ts';
import type { Batched } from '../kit/batcher.ts';
import { type Footprint, isAboutKnown } from '../kit/footprint.ts';
import type { Request, Transaction } from './transaction.ts';

/** A commit that may stand beside others. */
export type Sharing = Transaction & { readonly plain: Request };

/** Whoever issued one of the commits of a group, and is told once what became of it. */
export class Member implements Batched {
  readonly transaction: Sharing;
  readonly signal: AbortSignal;
  /** Called when it needs no answer any more. */
  onLeave: (() => void) | undefined;
  /** All that wait, itself among them until it leaves. */
  readonly #waiting: Set<Member>;
  readonly #resolve: (result: CommitResult | Promise<CommitResult>) => void;
  readonly #reject: (error: unknown) => void;
  #unlisten: (() => void) | undefined;

  constructor(
    transaction: Sharing,
    signal: AbortSignal,
    waiting: Set<Member>,
    resolve: (result: CommitResult | Promise<CommitResult>) => void,
    reject: (error: unknown) => void,
  ) {
    this.transaction = transaction;
    this.signal = signal;
    this.#waiting = waiting.add(this);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get footprint(): Footprint {
    const { plain, commit } = this.transaction;
    const keys = commit.when.map(({ key }) => key);
    for (const mutation of commit.then) {
      const key = keyOf(mutation);
      // A lock's condition is about the record that it puts or removes.
      if (key !== keys[0]) keys.push(key);
    }
    return { keys, cost: plain.count, bytes: plain.bytes };
  }

  get urgent(): boolean {
    return isAboutKnown(this.transaction.commit);
  }

  givenUp(): boolean {
    if (this.signal.aborted) this.fail(this.signal.reason);
    return !this.#waiting.has(this);
  }

  /** From now on its signal ends it. */
  listen(): void {
    this.#unlisten = onAbort(this.signal, () => this.fail(this.signal.reason));
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
    if (!this.#waiting.delete(this)) return false;
    this.#unlisten?.();
    this.onLeave?.();
    return true;
  }
}
