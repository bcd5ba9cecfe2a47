import { distinctUntilChanged, map, type Observable } from 'rxjs';
import type { Clock, Timer } from './backend.ts';
import type { Grant } from './grant.ts';
import type { Holder } from './holder.ts';
import { LeaderWork, type Term } from './leader-work.ts';
import type { Lock } from './lock.ts';
import { checkDuration } from './options.ts';
import { within } from './stopping.ts';

export interface StepDownOptions {
  /**
   * Milliseconds for which this process does not stand for leadership again, so that another one gets it. Default
   * 5 000. Whoever asks for the lock meanwhile ends the pause.
   */
  readonly pause?: number;
  /**
   * Milliseconds that the work of `whileLeader` may take to end after its signal has aborted, before leadership is given up
   * all the same. Default 5 000.
   */
  readonly grace?: number;
}

const DEFAULT_PAUSE = 5_000;
const DEFAULT_GRACE = 5_000;

export interface LeadershipHost {
  readonly clock: Clock;
  report(error: unknown): void;
  /** Throws `stopped` after the manager was stopped. */
  assertRunning(): void;
}

/** The service's leadership: who leads, whether that is this process, and what it does while it is. */
export class Leadership {
  readonly lock: Lock;
  /** Whether this process leads. Replays; completes when the manager stops; never errors. */
  readonly isLeader$: Observable<boolean>;
  /**
   * Who leads, with the metadata that it wrote; `undefined` for nobody. Looks without contending. Replays; completes when
   * the manager stops; never errors.
   */
  readonly leader$: Observable<Holder | undefined>;
  readonly #host: LeadershipHost;
  readonly #works = new Set<LeaderWork>();
  /** From the call of `stepDown` until it stands again. */
  #paused = false;
  #pausing: Timer | undefined;

  /** @internal */
  constructor(lock: Lock, leader$: Observable<Holder | undefined>, host: LeadershipHost) {
    this.lock = lock;
    this.leader$ = leader$;
    this.#host = host;
    this.isLeader$ = lock.state$.pipe(
      map(({ name }) => name === 'held'),
      distinctUntilChanged(),
    );
  }

  /** Whether this process may believe, at this moment, that it leads. */
  get isLeader(): boolean {
    return this.lock.held;
  }

  /**
   * Stands for leadership from now on, without waiting for it; what goes wrong is told on `events$`. Ends the pause after
   * `stepDown`. Nothing happens after the manager was stopped.
   */
  stand(): void {
    this.#endPause();
    // The claim stands, whatever this first answer is.
    this.lock.tryLock().catch(() => undefined);
  }

  /**
   * Stands for leadership, and does this work whenever this process leads: it begins on election, its signal aborts on
   * loss, and it begins again on re-election. It never overlaps with itself: a term's work begins when the one before
   * has ended. What it rejects with is told on `events$` as `listener-failed`; it is not repeated within one term.
   *
   * Throws `stopped` after the manager was stopped.
   */
  whileLeader(work: (term: Term) => Promise<void> | void): LeaderWork {
    this.#host.assertRunning();
    const report = (error: unknown): void => this.#host.report(error);
    const leaderWork = new LeaderWork(this.lock, work, report, (stopped) => this.#works.delete(stopped));
    this.#works.add(leaderWork);
    this.stand();
    return leaderWork;
  }

  /**
   * Gives leadership up, and stands for it again after a pause if this process stood for it before. The work of
   * `whileLeader` is aborted, and has ended before the next leader can begin, if it ends within the grace: so that work
   * must not await this call itself. Resolves when leadership is given up; rejects with `invalid-option`.
   */
  async stepDown(options: StepDownOptions = {}): Promise<void> {
    const { pause = DEFAULT_PAUSE, grace = DEFAULT_GRACE } = options;
    checkDuration('pause', pause);
    checkDuration('grace', grace);
    const stood = this.lock.claimed || this.#paused;
    this.#pausing?.cancel();
    this.#paused = stood;
    const works = [...this.#works];
    await within(this.#host.clock, grace, Promise.all(works.map((work) => work.rest())));
    await this.lock.release();
    for (const work of works) work.resume();
    if (stood) this.#pause(pause);
  }

  /**
   * The grant if this process leads, for what only the leader does. From the first call on it stands for leadership, except
   * during the pause after `stepDown`. Rejects as `lock.tryLock` does.
   */
  async ask(): Promise<Grant | undefined> {
    return this.#paused ? undefined : await this.lock.tryLock();
  }

  /** @internal Resolves when no work is under way any more. The lock stays as it is. */
  async stop(): Promise<void> {
    this.#endPause();
    await Promise.all([...this.#works].map((work) => work.stop()));
  }

  #pause(ms: number): void {
    this.#pausing?.cancel();
    // Who stood while it was given up has lost that claim with it.
    if (this.#paused) this.#pausing = this.#host.clock.after(ms, () => this.stand());
    else this.stand();
  }

  #endPause(): void {
    this.#pausing?.cancel();
    this.#pausing = undefined;
    this.#paused = false;
  }
}
