import { sleep } from '../async/sleep.ts';
import { isSyncError, type SyncManager } from '../index.ts';
import { encode, type Layout } from './records.ts';
import type { Worker } from './snapshot.ts';

/** What a process takes of the pool. */
export type Share = Pick<Worker, 'weight' | 'maxItems'>;

/** Milliseconds between tries. */
const AGAIN = 1_000;

/** How often it is removed again when something that was to be put had no answer: that may come through later. */
const LATE = 12;

/**
 * That this process takes items of the pool, for the others to see: a record that goes with the session, and comes back with the next.
 * Changes go one after the other; only the last of those that wait is written.
 */
export class Membership {
  readonly #sync: SyncManager;
  readonly #key: string;
  readonly #trouble: (error: unknown) => void;
  #wanted: Share | undefined;
  /** `null`: nobody knows. */
  #written: string | undefined | null;
  #writing: Promise<void> | undefined;
  #late = 0;
  readonly #controller = new AbortController();
  readonly #never = new AbortController().signal;

  constructor(sync: SyncManager, layout: Layout, member: string, trouble: (error: unknown) => void) {
    this.#sync = sync;
    this.#trouble = trouble;
    this.#key = layout.worker(member);
  }

  /** Resolves when the others can see it. Until then it is tried again, whatever goes wrong. */
  be(worker: Share | undefined): Promise<void> {
    this.#wanted = worker;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      // Something else may have been wanted since the last look at that.
      if (this.#wanted !== worker) void this.be(this.#wanted);
    });
    return this.#writing;
  }

  /** The others do not see it, though it was written: an operator took it away. */
  unseen(): void {
    if (this.#wanted === undefined || this.#writing !== undefined || this.#written !== this.#value()) return;
    this.#written = null;
    void this.be(this.#wanted);
  }

  /** Nobody waits any longer for a session to write it under. What stands there is removed nevertheless. */
  abandon(): void {
    this.#controller.abort();
  }

  async #write(): Promise<void> {
    for (;;) {
      const value = this.#value();
      if (value === this.#written) return;
      const then =
        value === undefined ? [{ remove: this.#key }] : [{ put: this.#key, value, owned: true, keep: true }];
      const { signal } = this.#controller;
      if (value !== undefined && signal.aborted) return;
      try {
        // A removal is tried to the end: the others would go on to count with whoever has left, for as long as its session lives.
        const result = await this.#sync.commit({ then }, value === undefined ? {} : { signal });
        if (!result.ok) {
          // Consul holds back the key of a session that was lost.
          this.#written = null;
          await sleep(this.#sync.clock, result.why === 'delayed' ? result.retryAfter : AGAIN, signal);
          continue;
        }
        this.#written = value;
        if (value === undefined && this.#late > 0) {
          this.#late -= 1;
          this.#written = null;
          await sleep(this.#sync.clock, AGAIN, this.#never);
        }
      } catch (error) {
        this.#written = null;
        if (value !== undefined) this.#late = LATE;
        if (isSyncError(error, 'stopped')) return;
        if (!signal.aborted) this.#trouble(error);
        await sleep(this.#sync.clock, AGAIN, value === undefined ? this.#never : signal).catch(
          () => undefined,
        );
      }
    }
  }

  #value(): string | undefined {
    if (this.#wanted === undefined) return undefined;
    const { weight, maxItems } = this.#wanted;
    return encode({ weight, ...(Number.isFinite(maxItems) ? { max: maxItems } : {}) });
  }
}
