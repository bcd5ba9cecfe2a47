import { Observable, type Observer, type Operator, type Subscriber, type Subscription } from 'rxjs';
import { isThenable } from './realms.ts';

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
