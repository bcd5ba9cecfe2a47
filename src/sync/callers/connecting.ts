import type { Clock } from '../../async/clock.ts';
import type { SyncError } from '../../contract/errors.ts';
import { isLasting } from '../../contract/retry.ts';
import type { SessionKeeper, SessionListener } from '../session/session-keeper.ts';
import type { CallOptions } from './call-options.ts';
import { PendingCall } from './pending-call.ts';
import type { OpenCall } from './scoped.ts';

/** A caller who waits for a session, and not for a lock. */
export class Connecting implements SessionListener, OpenCall {
  readonly aim = 'no session was opened';
  trouble: unknown;
  readonly #call: PendingCall<void>;

  /** @param open those that wait, itself among them until it does not. */
  constructor(keeper: SessionKeeper, clock: Clock, options: CallOptions, open: Set<OpenCall>) {
    const unlisten = keeper.listen(this);
    open.add(this);
    this.#call = new PendingCall<void>(clock, options, this).finally(() => {
      unlisten();
      open.delete(this);
    });
    keeper.demand();
    if (keeper.current?.trusted === true) this.sessionLive();
  }

  get promise(): Promise<void> {
    return this.#call.promise;
  }

  sessionLive(): void {
    this.#call.resolve();
  }

  sessionEnded(): void {}

  /** What the server refuses is told at once; while it is not reached, it is tried again. */
  sessionTrouble(error: unknown): void {
    this.trouble = error;
    if (isLasting(error)) this.refused(error);
  }

  /** Also when the manager is stopped. */
  refused(error: SyncError): void {
    this.#call.reject(error);
  }
}
