import { sleep } from '../async/sleep.ts';
import { isSyncError, type SyncManager } from '../index.ts';
import { encode, type Layout } from './records.ts';
import type { Worker } from './snapshot.ts';

/** What a process takes of the pool. */
export type Share = Pick<Worker, 'weight' | 'maxItems'>;

/** Milliseconds between tries. */
const AGAIN = 1_000;

/**
 * That this process takes items of the pool, for the others to see: a record that goes with the session, and comes back with the next.
 * Changes go one after the other; only the last of those that wait is written.
 */
export class Membership {
  readonly #sync: SyncManager;
  readonly #key: string;
  readonly #trouble: (error: unknown) => void;
  #wanted: Share | undefined;
  #written: string | undefined;
  #writing: Promise<void> | undefined;
  readonly #controller = new AbortController();

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
    });
    return this.#writing;
  }

  /** Nobody waits any longer for a session to write it under. */
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
      try {
        await this.#sync.commit({ then }, { signal });
        this.#written = value;
      } catch (error) {
        if (signal.aborted || isSyncError(error, 'stopped')) return;
        this.#trouble(error);
        await sleep(this.#sync.clock, AGAIN, signal).catch(() => undefined);
        if (signal.aborted) return;
      }
    }
  }

  #value(): string | undefined {
    if (this.#wanted === undefined) return undefined;
    const { weight, maxItems } = this.#wanted;
    return encode({ weight, ...(Number.isFinite(maxItems) ? { max: maxItems } : {}) });
  }
}
