import type { Clock } from '../../async/clock.ts';
import { queueMicrotask } from '../../async/platform.ts';
import { SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { isLasting } from '../../contract/retry.ts';
import type { LossReason } from '../contender/lock-machine.ts';
import type { AcquireOptions, CallOptions } from './call-options.ts';
import type { Grant } from './grant.ts';
import { limited } from './limits.ts';
import type { LocalQueue } from './local-queue.ts';
import type { Metadata } from './metadata.ts';
import { PendingCall } from './pending-call.ts';
import type { Ticket, TicketNotice } from './ticket.ts';

/** A scoped acquire on its way, which stopping rejects. */
export interface OpenCall {
  refused(error: SyncError): void;
}

export interface ScopedHost {
  readonly clock: Clock;
  readonly openCalls: Set<OpenCall>;
  encode(metadata: Metadata | undefined): Uint8Array;
  background(task: Promise<unknown>): void;
}

/** A scoped acquire in line, for as long as it is wanted or held. Made to be small: there may be thousands. */
class ScopedTicket implements Ticket, OpenCall {
  readonly standing = false;
  left: Promise<void> | undefined;
  inLine = false;
  before: Ticket | undefined;
  behind: Ticket | undefined;
  readonly #queue: LocalQueue;
  readonly maxHold: number | undefined;
  readonly #once: boolean;
  readonly #host: ScopedHost;
  /** Until it is granted: a function keeps the asynchronous context of who gave it. */
  #metadata: Metadata | undefined;
  /** Until it is settled. */
  #call: PendingCall<Grant | undefined> | undefined;

  constructor(
    queue: LocalQueue,
    options: AcquireOptions,
    once: boolean,
    metadata: Metadata | undefined,
    host: ScopedHost,
  ) {
    this.#queue = queue;
    this.maxHold = options.maxHold;
    this.#once = once;
    this.#metadata = metadata;
    this.#host = host;
    this.#call = new PendingCall(host.clock, options, queue, () => {
      this.#take();
      // At once, and not only with the rejection: who takes over the place may ask in the same turn.
      host.background(queue.leave(this));
    });
  }

  run({ signal, timeout }: CallOptions): Promise<Grant | undefined> {
    const { promise } = this.#call as PendingCall<Grant | undefined>;
    this.#host.openCalls.add(this);
    this.#queue.enter(this);
    return this.#once ? this.#leaveNothing(promise, signal, timeout) : promise;
  }

  async #leaveNothing(
    asked: Promise<Grant | undefined>,
    signal: AbortSignal | undefined,
    timeout: number | undefined,
  ): Promise<Grant | undefined> {
    const { clock } = this.#host;
    const until = clock.now() + (timeout ?? 0);
    const grant = await asked;
    if (grant !== undefined) return grant;
    const left = timeout === undefined ? undefined : Math.max(0, until - clock.now());
    // What was asked for is known. A removal that fails goes on in the background.
    await limited(clock, signal, left, this.#queue.leave(this, true));
    return undefined;
  }

  /** To be settled. It is over then, and nobody else settles it. */
  #take(): PendingCall<Grant | undefined> | undefined {
    const call = this.#call;
    this.#call = undefined;
    this.#host.openCalls.delete(this);
    return call;
  }

  refused(error: SyncError): void {
    const call = this.#take();
    if (call === undefined) return;
    call.reject(error);
    // Not in the midst of what the queue is about to tell others.
    queueMicrotask(() => this.#host.background(this.#queue.leave(this)));
  }

  value(): Uint8Array {
    return this.#host.encode(this.#metadata);
  }

  notice(notice: TicketNotice): void {
    switch (notice.tell) {
      case 'granted':
        if (!notice.grant.held) return;
        this.#metadata = undefined;
        this.#take()?.resolve(notice.grant);
        return;
      case 'lost':
        // Before the caller ever saw it, while the session was in doubt; or it is not this call's business any more.
        if (this.#call !== undefined) this.refused(lost(this.#queue.key, notice.reason));
        return;
      case 'occupied':
        this.#notNow();
        return;
      case 'refused':
        this.refused(notice.error);
        return;
      case 'failed':
        if (this.#once && isLasting(notice.error)) this.refused(notice.error);
        else this.#notNow();
        return;
      case 'moved':
      case 'doubted':
    }
  }

  #notNow(): void {
    if (this.#once) this.#take()?.resolve(undefined);
  }
}

function lost(key: string, reason: LossReason): SyncError {
  return new SyncError('lost', `the lock ${quoteKey(key)} was lost (${reason})`);
}

/**
 * One scoped, one-shot acquire: in line behind the other callers of this key in this process, and out of the line
 * again with the release, the loss, or when the caller gives up.
 *
 * @param once resolve to `undefined` as soon as the lock cannot be had now, with nothing left behind.
 */
export function acquireScoped(
  queue: LocalQueue,
  options: AcquireOptions,
  once: boolean,
  metadata: Metadata | undefined,
  host: ScopedHost,
): Promise<Grant | undefined> {
  return new ScopedTicket(queue, options, once, metadata, host).run(options);
}
