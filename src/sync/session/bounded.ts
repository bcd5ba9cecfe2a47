import type { Clock } from '../../async/clock.ts';
import { SettleOnce } from '../../async/settle-once.ts';
import { SyncError } from '../../contract/errors.ts';

/**
 * Runs a call that must end within `ms` milliseconds, whatever its backend does with the signal it gets.
 * The controller must not have aborted yet. The engine waits for nothing without a bound: a hung call would hide a deadline.
 */
export function bounded<T>(
  clock: Clock,
  ms: number,
  controller: AbortController,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal } = controller;
  const late = (): void =>
    controller.abort(new SyncError('unavailable', `no answer within ${Math.round(ms)} ms`));
  const answer = new SettleOnce<T>().follow(signal).after(clock, ms, late);
  const ask = async (): Promise<T> => await call(signal);
  ask().then(
    (value) => answer.resolve(value),
    (error) => answer.reject(error),
  );
  return answer.promise;
}
