import assert from 'node:assert/strict';
import { type Grant, isSyncError, type Lock, type SyncManager } from 'holdfast';

/** Where one schedule is played: two services, and what an operator can do. */
export interface Stage {
  readonly key: string;
  readonly ours: SyncManager;
  readonly rival: SyncManager;
  /** Runs `task` after so many milliseconds. */
  after(ms: number, task: () => void): void;
  random(): number;
  /** Ends our session. */
  destroySession(): void;
  deleteRecord(grant: Grant): void;
}

/** What somebody was promised, and what became of it. */
interface Promised {
  readonly what: string;
  fate: string | undefined;
}

/** Milliseconds, in which everything is begun. */
const SPAN = 400;
const STEPS = 14;

/** What a call may reject with when its lock is released, lost, given up or stopped meanwhile. */
const EXPECTED = ['released', 'lost', 'timeout'];

/**
 * One random schedule of acquires, releases during an acquire, double releases and releases after a loss. Resolves to
 * the fate of every promise, in the order of their making; rejects if one is not as it must be.
 */
export class Schedule {
  readonly #stage: Stage;
  readonly #lock: Lock;
  readonly #promised: Promised[] = [];
  readonly #grants: Grant[] = [];
  readonly #problems: string[] = [];
  #begun = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#lock = stage.ours.lock(stage.key);
  }

  start(): void {
    const { after, random } = this.#stage;
    for (let step = 0; step < STEPS; step++) {
      const act = this.#pick();
      after(random() * SPAN, () => {
        this.#begun++;
        act();
      });
    }
  }

  /** Everything has begun, and is settled. */
  get settled(): boolean {
    return this.#begun === STEPS && this.#promised.every(({ fate }) => fate !== undefined);
  }

  /** Gives everything back that is still held, twice. */
  finish(): void {
    for (const grant of this.#grants) for (let time = 0; time < 2; time++) this.#release('grant', grant);
    for (let time = 0; time < 2; time++) this.#release('lock', this.#lock);
  }

  verify(): string[] {
    assert.equal(this.#lock.held, false, 'held after its release');
    assert(this.#grants.every((grant) => !grant.held && grant.signal.aborted));
    assert.deepEqual(this.#problems, []);
    return this.#promised.map(({ what, fate }) => `${what}: ${fate}`);
  }

  #pick(): () => void {
    const { ours, rival, key, random, deleteRecord, destroySession } = this.#stage;
    const patience = { timeout: 5 + random() * 400 };
    const chance = random();
    const hold = random() * 100;
    if (chance < 0.15) return () => this.#ask('lock', () => this.#lock.lock(patience));
    if (chance < 0.22) return () => this.#ask('tryLock', () => this.#lock.tryLock(patience));
    if (chance < 0.34) return () => this.#ask('acquire', () => ours.acquire(key, patience));
    if (chance < 0.4) return () => this.#ask('tryAcquire', () => ours.tryAcquire(key, patience));
    if (chance < 0.45) return () => this.#giveUp(hold);
    if (chance < 0.58) return () => this.#release('lock', this.#lock);
    if (chance < 0.66) {
      return () => {
        this.#release('lock', this.#lock);
        this.#release('lock again', this.#lock);
      };
    }
    if (chance < 0.8) return () => this.#releaseSome(2);
    if (chance < 0.88) return () => this.#visit(rival, hold);
    if (chance < 0.94) return () => this.#grants.filter(({ held }) => held).forEach(deleteRecord);
    return destroySession;
  }

  #ask(what: string, call: () => Promise<Grant | undefined>): void {
    this.#expect(what, call(), (grant) => {
      if (grant === undefined) return 'occupied';
      if (!this.#grants.includes(grant)) this.#grants.push(grant);
      return 'granted';
    });
  }

  /** An acquire that is given up while it is under way. */
  #giveUp(ms: number): void {
    const controller = new AbortController();
    this.#stage.after(ms, () => controller.abort(new Error('gave up')));
    this.#ask('aborted', () => this.#stage.ours.acquire(this.#stage.key, { signal: controller.signal }));
  }

  #releaseSome(times: number): void {
    const { random } = this.#stage;
    const grant = this.#grants[Math.floor(random() * this.#grants.length)];
    if (grant === undefined) return;
    for (let time = 0; time < times; time++) this.#release('grant', grant);
  }

  /** Somebody else holds for a while. Nothing that we give back may be theirs. */
  #visit(rival: SyncManager, ms: number): void {
    const visit = async (): Promise<void> => {
      const grant = await rival.acquire(this.#stage.key, { timeout: 600 });
      await new Promise<void>((resolve) => this.#stage.after(ms, resolve));
      if (!grant.held) this.#problems.push('a release took the lock of somebody else');
      await grant.release();
    };
    this.#expect('rival', visit(), () => 'visited');
  }

  #release(what: string, held: Grant | Lock): void {
    const isLost = 'signal' in held && isSyncError(held.signal.reason, 'lost');
    this.#expect(`${isLost ? 'lost ' : ''}${what}.release`, held.release(), () => 'done');
  }

  #expect<T>(what: string, promise: Promise<T>, name: (value: T) => string): void {
    const entry: Promised = { what, fate: undefined };
    this.#promised.push(entry);
    promise.then(
      (value) => {
        entry.fate = name(value);
      },
      (error: unknown) => {
        entry.fate = isSyncError(error) ? error.code : String(error);
        const gaveUp = error instanceof Error && error.message === 'gave up';
        const isExpected = gaveUp || (isSyncError(error) && EXPECTED.includes(error.code));
        if (!isExpected || what.endsWith('release')) this.#problems.push(`${what}: ${String(error)}`);
      },
    );
  }
}
