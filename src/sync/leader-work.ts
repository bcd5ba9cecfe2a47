import type { Subscription } from 'rxjs';
import { SyncError } from './backend.ts';
import type { Grant } from './grant.ts';
import type { Lock } from './lock.ts';

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
  readonly #stopping = new AbortController();
  readonly #states: Subscription;
  readonly #onStop: (work: LeaderWork) => void;
  #running: Promise<void> | undefined;
  #term: AbortController | undefined;
  #resting = false;
  #last: Grant | undefined;

  /** @internal */
  constructor(
    lock: Lock,
    work: (term: Term) => Promise<void> | void,
    report: (error: unknown) => void,
    onStop: (work: LeaderWork) => void,
  ) {
    this.#lock = lock;
    this.#work = work;
    this.#report = report;
    this.#onStop = onStop;
    this.#states = lock.state$.subscribe(({ name }) => {
      if (name === 'held') this.#begin();
    });
  }

  /** Aborts the work that is under way, and resolves when it has ended. The lock stays as it is. Idempotent. */
  async stop(): Promise<void> {
    this.#states.unsubscribe();
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
    if (!this.#stopping.signal.aborted) this.#begin();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #begin(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Term after term, as long as there is a new one. */
  async #run(): Promise<void> {
    const stopping = this.#stopping.signal;
    for (;;) {
      const { grant } = this.#lock;
      if (grant === undefined || grant === this.#last || stopping.aborted || this.#resting) return;
      this.#last = grant;
      this.#term = new AbortController();
      const signal = AbortSignal.any([grant.signal, stopping, this.#term.signal]);
      try {
        await this.#work({ signal, token: grant.token, grant });
      } catch (error) {
        if (!isEndBy(signal, error)) this.#report(error);
      }
    }
  }
}

/** The usual way to end: by the signal's reason, or by what the platform's functions make of it. */
function isEndBy(signal: AbortSignal, error: unknown): boolean {
  if (!signal.aborted) return false;
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError');
}
