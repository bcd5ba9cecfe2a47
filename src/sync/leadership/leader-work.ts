import { AsyncResource } from 'node:async_hooks';
import type { Clock } from '../../async/clock.ts';
import { isError } from '../../async/realms.ts';
import { follow } from '../../async/signal-listeners.ts';
import { sleep } from '../../async/sleep.ts';
import { isSyncError, SyncError } from '../../contract/errors.ts';
import type { Grant } from '../callers/grant.ts';
import type { Lock } from '../callers/lock.ts';
import { runUnder } from '../callers/work-context.ts';

/** One term of leadership, as the work done under it sees it. */
export interface Term {
  /** Aborts when the leadership is lost or about to be given back, and when the work is stopped. */
  readonly signal: AbortSignal;
  /** Larger than that of every earlier leader. Give it to the systems you write to. */
  readonly token: bigint;
  readonly grant: Grant;
}

/**
 * What becomes of the leadership when the work of a term fails:
 *
 * - `step-down`: it is given up, so that another process can lead, and stood for again after a pause.
 * - `retry`: the work begins again after a pause, in the same term.
 * - `stay`: this process leads on without that work, until the next term.
 */
export type OnFailure = 'step-down' | 'retry' | 'stay';

export interface WhileLeaderOptions {
  /** Default `step-down`: a leader whose work fails at once would else do nothing for ever, while a healthy process waits. */
  readonly onFailure?: OnFailure;
}

/** After the first failure in a row, in milliseconds; doubled with each. Work that lasted for as long as the longest begins anew. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

export interface LeaderWorkHost {
  readonly clock: Clock;
  report(error: unknown): void;
  /** Not awaited by the work, whose end it waits for. */
  stepDown(pause: number): void;
  stopped(work: LeaderWork): void;
}

/**
 * Work that is done while a lock is held, term by term. A term's work begins when the one before has ended, however
 * long that takes after its signal has aborted: it never overlaps with itself in this process.
 */
export class LeaderWork implements AsyncDisposable {
  readonly #lock: Lock;
  readonly #work: (term: Term) => Promise<void> | void;
  readonly #host: LeaderWorkHost;
  readonly #onFailure: OnFailure;
  readonly #stopping = new AbortController();
  readonly #unlisten: () => void;
  /** In the context of who wants the work done, not of whoever happens to cause an election. */
  readonly #inContext = AsyncResource.bind(() => this.#run());
  #running: Promise<void> | undefined;
  #term: AbortController | undefined;
  /** What takes back that the signal of the last term follows others. */
  #following: (() => void)[] = [];
  #resting: boolean;
  #last: Grant | undefined;
  #failures = 0;

  /**
   * @internal
   * @param resting no work begins until `resume`.
   */
  constructor(
    lock: Lock,
    work: (term: Term) => Promise<void> | void,
    resting: boolean,
    onFailure: OnFailure,
    host: LeaderWorkHost,
  ) {
    this.#lock = lock;
    this.#work = work;
    this.#resting = resting;
    this.#onFailure = onFailure;
    this.#host = host;
    this.#unlisten = lock.onGranted(() => this.#begin());
    this.#begin();
  }

  /** Aborts the work that is under way, and resolves when it has ended. The lock stays as it is. Idempotent. */
  async stop(): Promise<void> {
    this.#unlisten();
    this.#stopping.abort(new SyncError('stopped', 'this work was stopped'));
    await this.#running;
    this.#unfollow();
    this.#host.stopped(this);
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

  #unfollow(): void {
    for (const takeBack of this.#following.splice(0)) takeBack();
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
      const term = new AbortController();
      this.#term = term;
      const { signal } = term;
      this.#unfollow();
      // Also when the work has returned: what it has begun may go on by the signal.
      this.#following = [grant.signal, this.#stopping.signal].map((other) => follow(term, other));
      const { clock } = this.#host;
      const begun = clock.now();
      try {
        await runUnder(grant, () => this.#work({ signal, token: grant.token, grant }));
        this.#failures = 0;
      } catch (error) {
        if (clock.now() - begun >= LONGEST_PAUSE) this.#failures = 0;
        if (!isEndBy(signal, error)) await this.#failed(error, signal);
      }
    }
    // In the same step as the last look: what comes after it begins anew.
    this.#running = undefined;
  }

  async #failed(error: unknown, signal: AbortSignal): Promise<void> {
    const { clock, report, stepDown } = this.#host;
    report(error);
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    if (signal.aborted || this.#onFailure === 'stay') return;
    if (this.#onFailure === 'step-down') {
      stepDown(pause);
      return;
    }
    await sleep(clock, pause, signal).catch(() => undefined);
    this.#last = undefined;
  }
}

/** What work rejects with that was told to end: the signal's reason, what the platform makes of it, or what a lock says. */
function isEndBy(signal: AbortSignal, error: unknown): boolean {
  if (!signal.aborted) return false;
  if (isSyncError(error)) return ['lost', 'released', 'stopped'].includes(error.code);
  return error === signal.reason || (isError(error) && error.name === 'AbortError');
}
