import { BehaviorSubject, type Observable, of, Subject, type Subscriber } from 'rxjs';
import { IsolatedObservable } from '../../async/isolated-observable.ts';
import type { Notifications } from '../../async/notifications.ts';
import type { LossReason } from '../contender/lock-machine.ts';

/** What `lock.state$` tells. */
export type LockStatus =
  | { readonly name: 'idle' | 'seeking' | 'waiting' | 'releasing' | 'stopped' }
  | { readonly name: 'held'; readonly token: bigint }
  /** In doubt: the machine may have slept. `held` again once that is verified, or `lost`. */
  | { readonly name: 'suspended'; readonly token: bigint }
  | { readonly name: 'lost'; readonly reason: LossReason };

export interface LockLoss {
  readonly key: string;
  readonly reason: LossReason;
  /** Of the grant that was lost. */
  readonly token: bigint;
}

export interface LockStreamsHost {
  readonly notifications: Notifications;
  report(error: unknown): void;
}

const IDLE: LockStatus = { name: 'idle' };

/** What one lock tells. Most are never listened to, and there may be thousands: what serves listeners is made with the first. */
export class LockStreams {
  readonly #host: LockStreamsHost;
  readonly #onObserved: () => void;
  #status = IDLE;
  #states: BehaviorSubject<LockStatus> | undefined;
  #losses: Subject<LockLoss> | undefined;
  #state$: Observable<LockStatus> | undefined;
  #lost$: Observable<LockLoss> | undefined;
  #subscribers = 0;

  /** @param onObserved told when `observed` may have changed. */
  constructor(host: LockStreamsHost, onObserved: () => void) {
    this.#host = host;
    this.#onObserved = onObserved;
  }

  get observed(): boolean {
    return this.#subscribers > 0;
  }

  /** Whether somebody listens to `lost$`. */
  get lossesHeard(): boolean {
    return this.#losses?.observed === true;
  }

  get state$(): Observable<LockStatus> {
    this.#state$ ??= this.#observable(() =>
      this.#status.name === 'stopped' ? of(this.#status) : this.#begunStates(),
    );
    return this.#state$;
  }

  get lost$(): Observable<LockLoss> {
    this.#lost$ ??= this.#observable(() => this.#begunLosses());
    return this.#lost$;
  }

  publish(status: LockStatus): void {
    if (this.#states === undefined) this.#move(status);
    else this.#host.notifications.post(() => this.#move(status));
  }

  lost(loss: LockLoss): void {
    this.#host.notifications.post(() => this.#losses?.next(loss));
  }

  complete(): void {
    this.#host.notifications.post(() => {
      this.#move({ name: 'stopped' });
      this.#states?.complete();
      this.#losses?.complete();
    });
  }

  #move(status: LockStatus): void {
    if (this.#status.name === 'stopped' || this.#status.name === status.name) return;
    this.#status = status;
    this.#states?.next(status);
  }

  #begunStates(): Subject<LockStatus> {
    this.#states ??= new BehaviorSubject(this.#status);
    return this.#states;
  }

  #begunLosses(): Subject<LockLoss> {
    if (this.#losses === undefined) {
      this.#losses = new Subject();
      if (this.#status.name === 'stopped') this.#losses.complete();
    }
    return this.#losses;
  }

  #observable<T>(source: () => Observable<T>): Observable<T> {
    const subscribe = (subscriber: Subscriber<T>): (() => void) => {
      this.#count(1);
      const subscription = source().subscribe(subscriber);
      return () => {
        subscription.unsubscribe();
        this.#count(-1);
      };
    };
    return new IsolatedObservable((error) => this.#host.report(error), subscribe);
  }

  #count(more: number): void {
    this.#subscribers += more;
    this.#onObserved();
  }
}
