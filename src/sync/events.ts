import { Observable, type Observer, type Operator, type Subscriber, type Subscription } from 'rxjs';
import { isThenable } from '../async/realms.ts';
import type { LossReason } from './lock-machine.ts';
import type { SessionState } from './session-keeper.ts';

/** Everything that happens to a manager, for logs and metrics. */
export type SyncEvent =
  | { readonly type: 'session'; readonly state: SessionState }
  /** The server said, `took` milliseconds after it was asked, that the session goes on. */
  | { readonly type: 'session-renewed'; readonly id: string; readonly took: number }
  | { readonly type: 'lock-held'; readonly key: string; readonly token: bigint }
  | { readonly type: 'lock-lost'; readonly key: string; readonly token: bigint; readonly reason: LossReason }
  /** A scoped grant that is held for longer than option `longHold`. Told once. */
  | { readonly type: 'lock-held-long'; readonly key: string; readonly token: bigint; readonly ms: number }
  | { readonly type: 'lock-released'; readonly key: string; readonly token: bigint }
  /** A request to the server failed; it is being tried again. `key` of the lock that it was for; without it, it was for the session. */
  | { readonly type: 'trouble'; readonly error: unknown; readonly key?: string }
  /** A subscriber threw. It harmed nobody else. */
  | { readonly type: 'listener-failed'; readonly error: unknown };

type Next<T> = (value: T) => unknown;

/**
 * An observable whose subscribers cannot harm one another or the engine. RxJS throws what a subscriber throws as an
 * uncaught exception, which ends the process; here it is reported and the others go on. So it is with a promise that
 * a subscriber returns and that rejects, and behind operators.
 */
export class IsolatedObservable<T> extends Observable<T> {
  #report: (error: unknown) => void;

  constructor(
    report: (error: unknown) => void,
    subscribe?: (subscriber: Subscriber<T>) => (() => void) | Subscription,
  ) {
    super(subscribe);
    this.#report = report;
  }

  override lift<R>(operator?: Operator<T, R>): Observable<R> {
    const lifted = new IsolatedObservable<R>(this.#report);
    lifted.source = this as unknown as Observable<unknown>;
    if (operator !== undefined) lifted.operator = operator as unknown as Operator<unknown, R>;
    return lifted;
  }

  override subscribe(observerOrNext?: Partial<Observer<T>> | Next<T> | null): Subscription;
  override subscribe(
    next?: Next<T> | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription;
  override subscribe(
    observerOrNext?: Partial<Observer<T>> | Next<T> | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    // An operator's own subscriber: the isolation is at the end of the chain.
    if (isSubscriber(observerOrNext)) return super.subscribe(observerOrNext);
    const observer: Partial<Observer<T>> =
      typeof observerOrNext === 'object' && observerOrNext !== null
        ? observerOrNext
        : {
            ...(observerOrNext ? { next: observerOrNext } : {}),
            ...(error ? { error } : {}),
            ...(complete ? { complete } : {}),
          };
    return super.subscribe({
      next: (value) => this.#guard(() => observer.next?.(value)),
      error: (reason) => this.#guard(() => (observer.error ? observer.error(reason) : this.#report(reason))),
      complete: () => this.#guard(() => observer.complete?.()),
    });
  }

  #guard(call: () => unknown): void {
    try {
      const result = call();
      if (isThenable(result)) result.then(undefined, (error: unknown) => this.#report(error));
    } catch (error) {
      this.#report(error);
    }
  }
}

function isSubscriber<T>(observer: unknown): observer is Subscriber<T> {
  return typeof observer === 'object' && observer !== null && 'isStopped' in observer;
}

/**
 * What the outside is told, after the inside is settled: a listener may call right back into the engine, and must
 * find it in the state it was told of. Items are delivered in order, also those that a listener causes; those that end
 * somebody's work come before all others, since thousands of locks may be lost in one step.
 */
export class Outbox {
  readonly #urgent = new Items();
  readonly #items = new Items();
  #depth = 0;
  #draining = false;

  /** Runs a change of state; what it posts is delivered when the outermost change is complete. */
  during<R>(change: () => R): R {
    this.#depth++;
    try {
      return change();
    } finally {
      this.#depth--;
      this.#drain();
    }
  }

  post(item: () => void): void {
    this.#items.push(item);
    this.#drain();
  }

  postUrgent(item: () => void): void {
    this.#urgent.push(item);
    this.#drain();
  }

  #drain(): void {
    if (this.#depth > 0 || this.#draining) return;
    this.#draining = true;
    try {
      for (let item = this.#next(); item !== undefined; item = this.#next()) item();
    } finally {
      this.#draining = false;
    }
  }

  #next(): (() => void) | undefined {
    return this.#urgent.shift() ?? this.#items.shift();
  }
}

/** First in, first out. `Array.shift` moves all that is left, of tens of thousands when many locks end in one step. */
class Items {
  #list: ((() => void) | undefined)[] = [];
  #next = 0;

  push(item: () => void): void {
    this.#list.push(item);
  }

  shift(): (() => void) | undefined {
    if (this.#next === this.#list.length) return undefined;
    const item = this.#list[this.#next];
    this.#list[this.#next++] = undefined;
    if (this.#next === this.#list.length) {
      this.#list = [];
      this.#next = 0;
    }
    return item;
  }
}
