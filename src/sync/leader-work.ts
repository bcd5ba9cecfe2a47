import { AsyncResource } from 'node:async_hooks';
import { isSyncError, SyncError } from './backend.ts';
import type { Grant } from './grant.ts';
import type { Lock } from './lock.ts';
import { runUnder } from './work-context.ts';

/** One term of leadership, as the work done under it sees it. */
export interface Term {
  /** Aborts when the leadership is lost or about to be given back, and when the work is stopped. */
  readonly signal: AbortSignal;
  /** Larger than that of every earlier leader. Give it to the systems you write to. */
  readonly token: bigint;
  readonly grant: Grant;
}

/**
 * Work that is done while a lock is held, term by term. A term's work begins when the one before has ended, however
 * long that takes after its signal has aborted: it never overlaps with itself in this process.
 */
export class LeaderWork implements AsyncDisposable {
  readonly #lock: Lock;
  readonly #work: (term: Term) => Promise<void> | void;
  readonly #report: (error: unknown) => void;
  readonly #onStop: (work: LeaderWork) => void;
  readonly #stopping = new AbortController();
  readonly #unlisten: () => void;
  /** In the context of who wants the work done, not of whoever happens to cause an election. */
  readonly #inContext = AsyncResource.bind(() => this.#run());
  #running: Promise<void> | undefined;
  #term: AbortController | undefined;
  #resting: boolean;
  #last: Grant | undefined;

  /**
   * @internal
   * @param resting no work begins until `resume`.
   */
  constructor(
    lock: Lock,
    work: (term: Term) => Promise<void> | void,
    resting: boolean,
    report: (error: unknown) => void,
    onStop: (work: LeaderWork) => void,
  ) {
    this.#lock = lock;
    this.#work = work;
    this.#resting = resting;
    this.#report = report;
    this.#onStop = onStop;
    this.#unlisten = lock.onGranted(() => this.#begin());
    this.#begin();
  }

  /** Aborts the work that is under way, and resolves when it has ended. The lock stays as it is. Idempotent. */
  async stop(): Promise<void> {
    this.#unlisten();
    this.#stopping.abort(new SyncError('stopped', 'this work was stopped'));
    await this.#running;
    this.#onStop(this);
  }

  /** @internal Aborts the work of this term, and resolves when it has ended. No other begins until `resume`. */
  async rest(): Promise<void> {
    this.#resting = true;
    this.#term?.abort(new SyncError('released', 'the leadership is being given back'));
    await this.#running;
  }

  /** @internal */
  resume(): void {
    this.#resting = false;
    this.#begin();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #begin(): void {
    this.#running ??= this.#inContext();
  }

  /** The grant of a term whose work has not been begun. */
  get #next(): Grant | undefined {
    const { grant } = this.#lock;
    const mayBegin = !this.#resting && !this.#stopping.signal.aborted && grant !== this.#last;
    return mayBegin ? grant : undefined;
  }

  /** Term after term, as long as there is a new one. */
  async #run(): Promise<void> {
    // Not before `#running` is set.
    await undefined;
    for (let grant = this.#next; grant !== undefined; grant = this.#next) {
      this.#last = grant;
      this.#term = new AbortController();
      const signal = AbortSignal.any([grant.signal, this.#stopping.signal, this.#term.signal]);
      try {
        await runUnder(grant, () => this.#work({ signal, token: grant.token, grant }));
      } catch (error) {
        if (!isEndBy(signal, error)) this.#report(error);
      }
    }
    // In the same step as the last look: what comes after it begins anew.
    this.#running = undefined;
  }
}

/** What work rejects with that was told to end: the signal's reason, what the platform makes of it, or what a lock says. */
function isEndBy(signal: AbortSignal, error: unknown): boolean {
  if (!signal.aborted) return false;
  if (isSyncError(error)) return ['lost', 'released', 'stopped'].includes(error.code);
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError');
}
