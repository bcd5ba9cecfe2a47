import { distinctUntilChanged, map, type Observable } from 'rxjs';
import type { Clock, Timer } from '../../async/clock.ts';
import { within } from '../../async/within.ts';
import { isSyncError } from '../../contract/errors.ts';
import type { Names } from '../../contract/options.ts';
import { checkDuration, checkNames, invalid } from '../../contract/options.ts';
import type { Grant } from '../callers/grant.ts';
import type { Lock } from '../callers/lock.ts';
import type { Holder } from './holder-watch.ts';
import { LeaderWork, type OnFailure, type Term, type WhileLeaderOptions } from './leader-work.ts';

export interface StepDownOptions {
  /**
   * Milliseconds for which this process does not stand for leadership again, so that another one gets it. Default
   * 5 000. `Infinity`: not again, until somebody asks for it. Whoever asks for the lock meanwhile ends the pause, and so does
   * whoever releases it: then nobody stands again.
   */
  readonly pause?: number;
  /**
   * Milliseconds that the work of `whileLeader` may take to end after its signal has aborted, before leadership is given up
   * all the same. Default 5 000; 0 waits for nothing.
   */
  readonly grace?: number;
}

/** While calls of `stepDown` give leadership up. */
interface Leaving {
  readonly name: 'leaving';
  calls: number;
  /** What follows, in milliseconds: the longest pause that was asked for. Nothing for who did not stand before. */
  pause: number | undefined;
  /** The lock is being released by this object, and not by a user. */
  releasing: boolean;
}

/** What keeps this process from standing. */
type Abstention =
  | Leaving
  /** Without a timer: until somebody asks for it. */
  | { readonly name: 'pausing'; readonly timer: Timer | undefined };

const WHILE_LEADER: Names<WhileLeaderOptions> = { onFailure: true };
const ON_FAILURE: readonly OnFailure[] = ['step-down', 'retry', 'stay'];

const STEP_DOWN: Names<StepDownOptions> = { pause: true, grace: true };

const DEFAULT_PAUSE = 5_000;
const DEFAULT_GRACE = 5_000;

export interface LeadershipHost {
  readonly clock: Clock;
  report(error: unknown): void;
  trouble(error: unknown): void;
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
  #abstention: Abstention | undefined;
  #stopped = false;

  /** @internal */
  constructor(lock: Lock, leader$: Observable<Holder | undefined>, host: LeadershipHost) {
    this.lock = lock;
    this.leader$ = leader$;
    this.#host = host;
    lock.onReleased = () => this.#givenUp();
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
    if (this.#abstention?.name === 'leaving') this.#abstention.pause = 0;
    else this.lock.tryLock().catch((error: unknown) => this.#untold(error));
  }

  /**
   * Stands for leadership, and does this work whenever this process leads: it begins on election, its signal aborts on
   * loss, and it begins again on re-election. It never overlaps with itself: a term's work begins when the one before
   * has ended. What it rejects with is told on `events$` as `listener-failed`; then leadership is given up for a pause of
   * 1 s, doubled with each failure in a row up to a minute, unless option `onFailure` says otherwise.
   *
   * Throws `stopped` after the manager was stopped, and `invalid-option`.
   */
  whileLeader(work: (term: Term) => Promise<void> | void, options: WhileLeaderOptions = {}): LeaderWork {
    this.#host.assertRunning();
    if (typeof work !== 'function') throw invalid('work', 'must be a function: whileLeader(work)');
    checkNames(options, WHILE_LEADER);
    const { onFailure = 'step-down' } = options;
    if (!ON_FAILURE.includes(onFailure))
      throw invalid('onFailure', `must be one of "${ON_FAILURE.join('", "')}"`);
    const leaderWork = new LeaderWork(this.lock, work, this.#abstention?.name === 'leaving', onFailure, {
      clock: this.#host.clock,
      report: (error) => this.#host.report(error),
      stepDown: (pause) => void this.stepDown({ pause }).catch((error: unknown) => this.#host.trouble(error)),
      stopped: (stopped) => void this.#works.delete(stopped),
    });
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
    checkNames(options, STEP_DOWN);
    const { pause = DEFAULT_PAUSE, grace = DEFAULT_GRACE } = options;
    if (pause !== 0 && pause !== Number.POSITIVE_INFINITY) checkDuration('pause', pause);
    if (grace !== 0) checkDuration('grace', grace);
    const before = this.#abstention;
    this.#endPause();
    const leaving: Leaving =
      before?.name === 'leaving' ? before : { name: 'leaving', calls: 0, pause: undefined, releasing: false };
    this.#abstention = leaving;
    if (this.lock.claimed || before?.name === 'pausing' || leaving.pause !== undefined)
      leaving.pause = Math.max(pause, leaving.pause ?? 0);
    leaving.calls += 1;
    const resting = [...this.#works].map((work) => work.rest());
    await within(this.#host.clock, grace, Promise.all(resting));
    leaving.releasing = true;
    const released = this.lock.release();
    leaving.releasing = false;
    await released;
    leaving.calls -= 1;
    if (leaving.calls === 0) this.#left(leaving.pause);
  }

  /**
   * The grant if this process leads, for what only the leader does. From the first call on it stands for leadership, except
   * during the pause after `stepDown`. Rejects as `lock.tryLock` does.
   */
  async ask(): Promise<Grant | undefined> {
    if (this.#abstention?.name === 'leaving') return undefined;
    if (this.#abstention?.name === 'pausing' && !this.lock.claimed) return undefined;
    return await this.lock.tryLock();
  }

  /** @internal Resolves when no work is under way any more. The lock stays as it is. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endPause();
    await Promise.all([...this.#works].map((work) => work.stop()));
  }

  /** Nobody is stepping down any more. */
  #left(pause: number | undefined): void {
    this.#abstention = undefined;
    for (const work of this.#works) work.resume();
    if (pause === undefined || this.#stopped) return;
    if (pause === 0) this.stand();
    else {
      const { clock } = this.#host;
      const isForGood = pause === Number.POSITIVE_INFINITY;
      const timer = isForGood ? undefined : clock.after(pause, () => this.stand());
      this.#abstention = { name: 'pausing', timer };
    }
  }

  /** Of a claim that stands, what goes wrong is told by its attempts. */
  #untold(error: unknown): void {
    if (!this.lock.claimed && !isSyncError(error, 'stopped')) this.#host.trouble(error);
  }

  /** Somebody does not want to lead any more: nor after the pause that was to come. */
  #givenUp(): void {
    const abstention = this.#abstention;
    if (abstention?.name === 'leaving' && !abstention.releasing) abstention.pause = undefined;
    this.#endPause();
  }

  #endPause(): void {
    if (this.#abstention?.name !== 'pausing') return;
    this.#abstention.timer?.cancel();
    this.#abstention = undefined;
  }
}
