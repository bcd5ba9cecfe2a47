import { type Observable, ReplaySubject, type Subscriber, share } from 'rxjs';
import type { Clock } from '../../async/clock.ts';
import { IsolatedObservable } from '../../async/isolated-observable.ts';
import type { OwnContext } from '../../async/own-context.ts';
import { sleep } from '../../async/sleep.ts';
import type { Backend, Cursor, Scope, StoredRecord } from '../../contract/backend.ts';
import { OVER } from '../../contract/errors.ts';
import { retryDelay } from '../../contract/retry.ts';

/** What stands in a scope, as the store names it. */
export interface View {
  readonly records: readonly StoredRecord[];
  /** Since when it could not be looked at any more, by the wall clock in milliseconds: so it was then. */
  readonly staleSince?: number;
}

export interface ViewsHost {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly context: OwnContext;
  report(error: unknown): void;
  trouble(error: unknown): void;
  /** Takes over a promise that never rejects; stopping waits for it. */
  background(task: Promise<unknown>): void;
}

/** Milliseconds: even if no event ever arrives, it is looked again after so long. */
const LOOK_INTERVAL = 60_000;

/**
 * Looks at scopes of the store for as long as somebody subscribes: level-triggered, so that nobody depends on seeing every change.
 * However many subscribe to one observable, it asks once.
 */
export class Views {
  readonly #host: ViewsHost;
  readonly #open = new Map<AbortController, Subscriber<View>>();
  /** Since when each of them cannot look, by the wall clock. */
  readonly #blind = new Map<AbortSignal, number>();
  #stopped = false;

  constructor(host: ViewsHost) {
    this.#host = host;
  }

  /**
   * Replays the last one. Completes when the manager stops; never errors.
   *
   * @param every milliseconds between two looks at least: what changes meanwhile is told as one.
   */
  observe(scope: Scope, every = 0): Observable<View> {
    return new IsolatedObservable<View>(
      (error) => this.#host.report(error),
      (subscriber) => this.#begin(scope, every, subscriber),
    ).pipe(share({ connector: () => new ReplaySubject(1) }));
  }

  /** Since when one of them has not been able to look, by the wall clock in milliseconds; `undefined` if all are. */
  get blindSince(): number | undefined {
    return this.#blind.size === 0 ? undefined : Math.min(...this.#blind.values());
  }

  stop(): void {
    this.#stopped = true;
    this.#blind.clear();
    for (const [controller, subscriber] of [...this.#open]) {
      controller.abort(OVER);
      subscriber.complete();
    }
  }

  #begin(scope: Scope, every: number, subscriber: Subscriber<View>): () => void {
    if (this.#stopped) {
      subscriber.complete();
      return () => {};
    }
    const controller = new AbortController();
    this.#open.set(controller, subscriber);
    this.#host.context.run(() => {
      const following = this.#follow(scope, every, subscriber, controller.signal);
      this.#host.background(following.catch(() => undefined));
    });
    return () => {
      this.#open.delete(controller);
      this.#blind.delete(controller.signal);
      controller.abort(OVER);
    };
  }

  /** Rejects once it is cut off. */
  async #follow(
    scope: Scope,
    every: number,
    subscriber: Subscriber<View>,
    signal: AbortSignal,
  ): Promise<void> {
    const { backend, clock, trouble } = this.#host;
    let since: Cursor | undefined;
    let failures = 0;
    let last: readonly StoredRecord[] | undefined;
    for (;;) {
      try {
        const options = since === undefined ? { signal } : { since, wait: LOOK_INTERVAL, signal };
        const { records, at } = await backend.query(scope, options);
        const seenAt = clock.now();
        since = at;
        failures = 0;
        this.#blind.delete(signal);
        last = records;
        subscriber.next({ records });
        const left = seenAt + every - clock.now();
        if (every > 0 && left > 0) await sleep(clock, left, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        since = undefined;
        const staleSince = this.#blind.get(signal) ?? clock.wall();
        this.#blind.set(signal, staleSince);
        // Last: whoever is told may end this.
        trouble(error);
        if (last !== undefined) subscriber.next({ records: last, staleSince });
        await sleep(clock, retryDelay(error, failures, clock.random()), signal);
        failures += 1;
      }
    }
  }
}
