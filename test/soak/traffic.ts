import assert from 'node:assert/strict';
import { type Grant, isSyncError, type SyncManager } from 'holdfast';
import { uniqueKey, until } from '../scenarios/world.ts';

/** Between a release and the next attempt of the same process, in milliseconds: a steady traffic, not a load. */
const PAUSE = 10;

interface Turn {
  /** Before the call. Monotonic milliseconds, as the rest. */
  readonly begun: number;
  readonly granted: number;
}

/** Processes that take turns at one key for as long as the scope lasts. No two may hold, and tokens rise. */
export class Traffic implements AsyncDisposable {
  /** Attempts that ended without a grant, by their timeout. */
  timeouts = 0;
  readonly #turns: Turn[] = [];
  readonly #holding = new Map<SyncManager, Grant>();
  readonly #work: Promise<unknown>;
  #last = 0n;
  #over = false;
  #failure: unknown;

  /** @param timeout of one attempt, in milliseconds. */
  constructor(managers: readonly SyncManager[], timeout: number, key = uniqueKey('traffic')) {
    this.#work = Promise.all(managers.map((manager) => this.#run(manager, key, timeout)));
  }

  get count(): number {
    this.check();
    return this.#turns.length;
  }

  /** Throws what went wrong so far. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Grants of attempts that began at this instant or later. */
  begunSince(instant: number): Turn[] {
    this.check();
    return this.#turns.filter(({ begun }) => begun >= instant);
  }

  /** The longest time without a grant since then, up to the last one, in milliseconds. */
  longestGap(since: number): number {
    const grants = this.#turns.map(({ granted }) => granted).filter((granted) => granted >= since);
    return Math.max(0, ...grants.map((granted, at) => granted - (grants[at - 1] ?? since)));
  }

  /** Until an attempt that begins now or later succeeds. */
  async flows(bound = 20_000): Promise<void> {
    const now = performance.now();
    await until(() => this.begunSince(now).length > 0, bound);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    await this.#work;
  }

  async #run(manager: SyncManager, key: string, timeout: number): Promise<void> {
    while (!this.#over) {
      try {
        await this.#turn(manager, key, timeout);
      } catch (error) {
        if (isSyncError(error, 'timeout')) this.timeouts++;
        else this.#failure ??= error;
        // Nothing comes of a manager that was stopped.
        if (isSyncError(error, 'stopped')) return;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  async #turn(manager: SyncManager, key: string, timeout: number): Promise<void> {
    const begun = performance.now();
    const grant = await manager.acquire(key, { timeout });
    this.#turns.push({ begun, granted: performance.now() });
    const others = [...this.#holding.values()].filter(({ held }) => held);
    assert.equal(others.length, 0, 'two hold the lock');
    assert(grant.token > this.#last, `token ${grant.token} after ${this.#last}`);
    this.#last = grant.token;
    this.#holding.set(manager, grant);
    await grant.release();
    this.#holding.delete(manager);
  }
}
