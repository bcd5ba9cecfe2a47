import { type Clock, SyncError } from './backend.ts';
import { Call } from './call.ts';
import type { Grant } from './grant.ts';
import { quoteKey } from './keys.ts';
import type { LocalQueue, Ticket } from './local-queue.ts';
import type { LossReason } from './lock-machine.ts';
import type { Metadata } from './metadata.ts';
import type { CallOptions } from './options.ts';

/** Scoped acquires on their way: what rejects each, so that stopping can. */
export type OpenCalls = Set<(error: SyncError) => void>;

export interface ScopedHost {
  readonly clock: Clock;
  readonly openCalls: OpenCalls;
  encode(metadata: Metadata | undefined): Uint8Array;
  background(task: Promise<unknown>): void;
}

/** A scoped acquire in line, for as long as it is wanted or held. Made to be small: there may be thousands. */
class ScopedTicket implements Ticket {
  readonly standing = false;
  readonly #queue: LocalQueue;
  readonly #once: boolean;
  readonly #host: ScopedHost;
  readonly #metadata: Metadata | undefined;
  /** Until it is settled. */
  #call: Call<Grant | undefined> | undefined;

  constructor(
    queue: LocalQueue,
    options: CallOptions,
    once: boolean,
    metadata: Metadata | undefined,
    host: ScopedHost,
  ) {
    this.#queue = queue;
    this.#once = once;
    this.#metadata = metadata;
    this.#host = host;
    // At once, and not only with the rejection: who takes over the place may ask in the same turn.
    this.#call = new Call(host.clock, options, `the lock ${quoteKey(queue.key)}`, () =>
      host.background(queue.leave(this)),
    );
  }

  async run(): Promise<Grant | undefined> {
    const call = this.#call as Call<Grant | undefined>;
    const { openCalls, background } = this.#host;
    const reject = (error: SyncError): void => {
      call.reject(error);
    };
    openCalls.add(reject);
    this.#queue.enter(this);
    try {
      const grant = await call.promise;
      if (grant === undefined) await this.#queue.leave(this);
      return grant;
    } catch (error) {
      background(this.#queue.leave(this));
      throw error;
    } finally {
      openCalls.delete(reject);
      this.#call = undefined;
    }
  }

  value(): Uint8Array {
    return this.#host.encode(this.#metadata);
  }

  granted(grant: Grant): void {
    if (grant.held) this.#call?.resolve(grant);
  }

  /** Of a call that is not settled: lost before the caller ever saw it, while the session was in doubt. */
  lost(reason: LossReason): void {
    this.#call?.reject(new SyncError('lost', `the lock ${quoteKey(this.#queue.key)} was lost (${reason})`));
  }

  occupied(): void {
    if (this.#once) this.#call?.resolve(undefined);
  }

  refused(error: SyncError): void {
    this.#call?.reject(error);
  }

  trouble(error: unknown): void {
    if (this.#call !== undefined) this.#call.trouble = error;
  }

  moved(): void {}
}

/**
 * One scoped, one-shot acquire: in line behind the other callers of this key in this process, and out of the line
 * again with the release, the loss, or when the caller gives up.
 *
 * @param once resolve to `undefined` as soon as the lock cannot be had now, with nothing left behind.
 */
export function acquireScoped(
  queue: LocalQueue,
  options: CallOptions,
  once: boolean,
  metadata: Metadata | undefined,
  host: ScopedHost,
): Promise<Grant | undefined> {
  return new ScopedTicket(queue, options, once, metadata, host).run();
}
