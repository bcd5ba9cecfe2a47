import type { Clock } from '../async/clock.ts';
import { SettleOnce } from '../async/settle-once.ts';
import { type CallOptions, SyncError } from '../index.ts';

/** What is left of the limits of a call, for each of its requests. Throws the signal's reason. */
export function leftOf(clock: Clock, { signal, timeout }: CallOptions): () => CallOptions {
  signal?.throwIfAborted();
  const until = clock.now() + (timeout ?? 0);
  return () => ({
    ...(signal === undefined ? {} : { signal }),
    ...(timeout === undefined ? {} : { timeout: Math.max(0, until - clock.now()) }),
  });
}

/** The same promise, within the limits of a call. */
export function boundedBy<T>(
  clock: Clock,
  { signal, timeout }: CallOptions,
  work: Promise<T>,
  aim: string,
): Promise<T> {
  const call = new SettleOnce<T>().follow(signal);
  if (timeout !== undefined) {
    const late = new SyncError('timeout', `${aim} within ${timeout} ms`);
    call.after(clock, timeout, () => call.reject(late));
  }
  work.then(
    (value) => call.resolve(value),
    (error: unknown) => call.reject(error),
  );
  return call.promise;
}
