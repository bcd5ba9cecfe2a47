import { currentSyncManager, type RunOnceOptions as Limits } from '../index.ts';
import type { Names } from '../sync/known-options.ts';
import { runUnder } from '../sync/work-context.ts';
import { aroundMethod, type DecoratesMethod } from './method.ts';
import { checkNames } from './options.ts';
import type { DecoratorOptions } from './with-lock.ts';

export interface RunOnceOptions extends Limits, DecoratorOptions {}

const OPTIONS: Names<RunOnceOptions> = {
  manager: true,
  atLeast: true,
  signal: true,
  timeout: true,
  metadata: true,
  maxHold: true,
};

/**
 * Runs the method on at most one of all processes that call it within `atLeast` milliseconds, and nowhere while it is still being
 * run; elsewhere the call does nothing. For jobs that every replica begins at the same time. See `SyncManager.runOnce`.
 *
 * A method that may be skipped has to return a promise of nothing.
 */
export function RunOnce<Args extends readonly unknown[] = []>(
  key: string | ((...args: Args) => string),
  given: RunOnceOptions,
): DecoratesMethod<Args, void> {
  checkNames('@RunOnce', given, OPTIONS);
  const { manager, ...options } = given;
  return aroundMethod('@RunOnce', async (self, args, proceed) => {
    const sync = manager?.(self as never) ?? currentSyncManager('@RunOnce');
    const name = typeof key === 'string' ? key : key(...(args as unknown as Args));
    // Also where the manager itself does not keep track of it.
    await sync.runOnce(name, options, (grant) => runUnder(grant, proceed));
  }) as DecoratesMethod<Args, void>;
}
