import { BehaviorSubject, type Observable, of, Subject } from 'rxjs';
import { IsolatedObservable } from '../../async/isolated-observable.ts';
import type { Notifications } from '../../async/notifications.ts';
import { warnProcess } from '../../async/realms.ts';
import { isSyncError } from '../../contract/errors.ts';
import type { Grant } from '../callers/grant.ts';
import type { GrantNotice, QueueEvents } from '../callers/ticket.ts';
import type { Session } from '../session/session.ts';
import type { SessionEvents, SessionListener, SessionState } from '../session/session-keeper.ts';
import type { SyncEvent } from './sync-event.ts';
import type { Warnings } from './warnings.ts';

/** Refusals that are not about one key. */
const UNREADY = ['permission-denied', 'insecure', 'rejected', 'store-reset'] as const;

/** What happens to a manager: told to its streams, and kept as far as its health shows it. */
export class ManagerEvents implements QueueEvents, SessionEvents, SessionListener {
  readonly session$: Observable<SessionState>;
  readonly events$: Observable<SyncEvent>;
  readonly #notifications: Notifications;
  readonly #sessions = new BehaviorSubject<SessionState>({ name: 'idle' });
  readonly #events = new Subject<SyncEvent>();
  #held = 0;
  #sessionFailure: unknown;
  #refusal: unknown;
  #warnings: Warnings | undefined;

  constructor(notifications: Notifications) {
    this.#notifications = notifications;
    const report = (error: unknown): void => this.report(error);
    this.session$ = new IsolatedObservable(report, (subscriber) => {
      // A subject that is complete replays nothing.
      const last = this.#sessions.value;
      return (last.name === 'stopped' ? of(last) : this.#sessions).subscribe(subscriber);
    });
    // A subscriber of this very stream that always fails would be told of its own failure for ever.
    this.events$ = new IsolatedObservable(warn, (subscriber) => this.#events.subscribe(subscriber));
  }

  /** From now on. */
  warn(warnings: Warnings): void {
    this.#warnings = warnings;
  }

  get session(): SessionState {
    return this.#sessions.value;
  }

  /** How many locks were granted and have not ended since. */
  get held(): number {
    return this.#held;
  }

  /** What the server refuses to every lock, as far as we know: with that, none was granted since. */
  get refusal(): unknown {
    return this.#refusal;
  }

  /** Why the session cannot be opened or renewed, until it is live. */
  get sessionFailure(): unknown {
    return this.#sessionFailure;
  }

  notice(notice: GrantNotice): void {
    const { key, token } = notice.grant;
    switch (notice.tell) {
      case 'granted':
        this.#held += 1;
        this.#accepted();
        this.#emit({ type: 'lock-held', key, token });
        return;
      case 'lost':
        this.#held -= 1;
        if (!notice.heard) this.#unheard?.lost(key, notice.reason);
        this.#emit({ type: 'lock-lost', key, token, reason: notice.reason });
        return;
      case 'released':
        this.#held -= 1;
        this.#emit({ type: 'lock-released', key, token });
    }
  }

  heldLong({ key, token }: Grant, ms: number): void {
    this.#unheard?.heldLong(key, ms);
    this.#emit({ type: 'lock-held-long', key, token, ms });
  }

  recordLost(key: string, kept: boolean): void {
    this.#emit({ type: 'record-lost', key, kept });
  }

  trouble(error: unknown, key?: string): void {
    if (UNREADY.some((code) => isSyncError(error, code))) this.#refusal = error;
    this.#unheard?.trouble(error, key);
    this.#emit(key === undefined ? { type: 'trouble', error } : { type: 'trouble', error, key });
  }

  moved(state: SessionState): void {
    this.#notifications.post(() => this.#sessions.next(state));
    this.#emit({ type: 'session', state });
  }

  renewed({ id }: Session, took: number): void {
    this.#emit({ type: 'session-renewed', id, took });
  }

  together(change: () => void): void {
    this.#notifications.during(change);
  }

  sessionLive(): void {
    this.#warnings?.rightAgain();
    this.#accepted();
    this.#sessionFailure = undefined;
  }

  sessionEnded(): void {}

  sessionTrouble(error: unknown): void {
    this.#sessionFailure = error;
    this.trouble(error);
  }

  /** Whoever listens to everything needs no warning. */
  get #unheard(): Warnings | undefined {
    return this.#events.observed ? undefined : this.#warnings;
  }

  /** The server does what it is asked. A store that went back stays one. */
  #accepted(): void {
    if (!isSyncError(this.#refusal, 'store-reset')) this.#refusal = undefined;
  }

  /** A user's callback failed. With nobody to tell, it becomes a process warning: never lost, never fatal. */
  report(error: unknown): void {
    if (this.#events.observed) this.#emit({ type: 'listener-failed', error });
    else warn(error);
  }

  complete(): void {
    this.#notifications.post(() => {
      this.#sessions.complete();
      this.#events.complete();
    });
  }

  #emit(event: SyncEvent): void {
    if (!this.#events.observed) return;
    this.#notifications.post(() => this.#events.next(event));
  }
}

function warn(error: unknown): void {
  warnProcess(error, 'SyncListenerWarning');
}
