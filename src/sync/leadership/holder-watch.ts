import { TextDecoder } from 'node:util';
import { type Observable, ReplaySubject, type Subscriber, share } from 'rxjs';
import type { Clock } from '../../async/clock.ts';
import { IsolatedObservable } from '../../async/isolated-observable.ts';
import type { OwnContext } from '../../async/own-context.ts';
import { sleep } from '../../async/sleep.ts';
import type { Backend, Cursor, Scope, StoredRecord } from '../../contract/backend.ts';
import { OVER } from '../../contract/errors.ts';
import { retryDelay } from '../../contract/retry.ts';
import type { JsonValue } from '../callers/metadata.ts';

/** Who holds a key, as its record at the store says. */
export interface Holder {
  /** The id of the holder's session at the store. */
  readonly session: string;
  /** What the holder wrote there; `undefined` if that is not JSON. */
  readonly metadata: JsonValue | undefined;
  /** The same as it stands there, such as a proposal by a Go program or by `etcdctl elect`, which may be any text. */
  readonly value: Uint8Array;
  /**
   * Since when it could not be looked at any more, by the wall clock in milliseconds: so it was then. Told again without it once
   * a look succeeds.
   */
  readonly staleSince?: number;
}

export interface HolderHost {
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

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Looks who holds keys, without contending for them: no session, no write. However many subscribe to one observable,
 * it asks once.
 */
export class HolderWatch {
  readonly #host: HolderHost;
  readonly #open = new Map<AbortController, Subscriber<Holder | undefined>>();
  /** Since when each of them cannot look, by the wall clock. */
  readonly #blind = new Map<AbortSignal, number>();
  #stopped = false;

  constructor(host: HolderHost) {
    this.#host = host;
  }

  /** `undefined`: nobody. Completes when the manager stops; never errors. */
  observe(path: string): Observable<Holder | undefined> {
    const { traits } = this.#host.backend;
    const scope: Scope = traits.contention === 'queue' ? { prefix: path, oldest: 1 } : { key: path };
    return new IsolatedObservable<Holder | undefined>(
      (error) => this.#host.report(error),
      (subscriber) => this.#begin(scope, subscriber),
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

  #begin(scope: Scope, subscriber: Subscriber<Holder | undefined>): () => void {
    if (this.#stopped) {
      subscriber.complete();
      return () => {};
    }
    const controller = new AbortController();
    this.#open.set(controller, subscriber);
    this.#host.context.run(() => {
      const following = this.#follow(scope, subscriber, controller.signal);
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
    subscriber: Subscriber<Holder | undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    const { backend, clock, trouble } = this.#host;
    let since: Cursor | undefined;
    let failures = 0;
    let told = 'nothing' as Holder | 'nothing' | undefined;
    const tell = (holder: Holder | undefined): void => {
      if (told !== 'nothing' && isSame(told, holder)) return;
      told = holder;
      subscriber.next(holder);
    };
    for (;;) {
      try {
        const options = since === undefined ? { signal } : { since, wait: LOOK_INTERVAL, signal };
        const { records, at } = await backend.query(scope, options);
        since = at;
        failures = 0;
        const [first] = records;
        this.#blind.delete(signal);
        tell(first && holderOf(first));
      } catch (error) {
        if (signal.aborted) throw error;
        since = undefined;
        const staleSince = this.#blind.get(signal) ?? clock.wall();
        this.#blind.set(signal, staleSince);
        // Last: whoever is told may end this.
        trouble(error);
        if (told !== 'nothing' && told !== undefined) tell({ ...told, staleSince });
        await sleep(clock, retryDelay(error, failures, clock.random()), signal);
        failures += 1;
      }
    }
  }
}

/** For who looks: the record may have been put again as it was. */
function isSame(a: Holder | undefined, b: Holder | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.session === b.session && a.staleSince === b.staleSince && Buffer.compare(a.value, b.value) === 0;
}

/** Nobody, where it has no session. */
function holderOf({ session, value }: StoredRecord): Holder | undefined {
  return session === undefined ? undefined : { session, metadata: metadataIn(value), value };
}

function metadataIn(value: Uint8Array): JsonValue | undefined {
  try {
    return JSON.parse(decoder.decode(value)) as JsonValue;
  } catch {
    return undefined;
  }
}
