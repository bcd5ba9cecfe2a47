import { type Clock, SyncError } from './backend.ts';
import { Call } from './call.ts';
import type { Grant } from './grant.ts';
import { quoteKey } from './keys.ts';
import type { LocalQueue, Ticket } from './local-queue.ts';
import type { CallOptions } from './options.ts';

/** Scoped acquires on their way: what rejects each, so that stopping can. */
export type OpenCalls = Set<(error: SyncError) => void>;

/**
 * One scoped, one-shot acquire: in line behind the other callers of this key in this process, and out of the line
 * again with the release, the loss, or when the caller gives up.
 *
 * @param once resolve to `undefined` as soon as the lock cannot be had now, with nothing left behind.
 */
export async function acquireScoped(
  queue: LocalQueue,
  options: CallOptions,
  once: boolean,
  clock: Clock,
  value: () => Uint8Array,
  open: OpenCalls,
  background: (task: Promise<unknown>) => void,
): Promise<Grant | undefined> {
  // At once, and not only with the rejection: who takes over the place may ask in the same turn.
  const call = new Call<Grant | undefined>(clock, options, `the lock ${quoteKey(queue.key)}`, () =>
    background(queue.leave(ticket)),
  );
  const ticket: Ticket = {
    standing: false,
    value,
    granted: (grant) => {
      if (grant.held) call.resolve(grant);
    },
    lost: (reason) => {
      // Lost before the caller ever saw it: the session ended while it was in doubt.
      call.reject(new SyncError('lost', `the lock ${quoteKey(queue.key)} was lost (${reason})`));
    },
    occupied: () => {
      if (once) call.resolve(undefined);
    },
    refused: (error) => call.reject(error),
    trouble: (error) => {
      call.trouble = error;
    },
    moved: () => {},
  };
  const reject = (error: SyncError): void => {
    call.reject(error);
  };
  open.add(reject);
  queue.enter(ticket);
  try {
    const grant = await call.promise;
    if (grant === undefined) await queue.leave(ticket);
    return grant;
  } catch (error) {
    background(queue.leave(ticket));
    throw error;
  } finally {
    open.delete(reject);
  }
}
