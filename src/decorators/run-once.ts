import type { Names } from '../contract/options.ts';
import type { RunOnceOptions as Limits } from '../index.ts';
import { runUnder } from '../sync/callers/work-context.ts';
import { aroundMethod, type DecoratesMethod } from './method.ts';
import { checkNames } from './options.ts';
import { type DecoratorOptions, type KeyOf, managerOf, nameOf, OPTIONS as WITH_LOCK } from './with-lock.ts';

export interface RunOnceOptions extends Limits, DecoratorOptions {}

const OPTIONS: Names<RunOnceOptions> = { ...WITH_LOCK, atLeast: true };

/**
 * Runs the method on at most one of all processes that call it within `atLeast` milliseconds, and nowhere while it is still being
 * run; elsewhere the call does nothing. For jobs that every replica begins at the same time. See `SyncManager.runOnce`.
 *
 * A method that may be skipped has to return a promise of nothing.
 */
export function RunOnce<Args extends readonly unknown[] = []>(
  key: KeyOf<Args>,
  given: RunOnceOptions,
): DecoratesMethod<Args, void> {
  checkNames('@RunOnce', given, OPTIONS);
  const { manager, ...options } = given;
  return aroundMethod('@RunOnce', async (self, args, proceed) => {
    const sync = managerOf(self, manager, '@RunOnce');
    // Also where the manager itself does not keep track of it.
    await sync.runOnce(nameOf(key, args), options, (grant) => runUnder(grant, proceed));
  }) as DecoratesMethod<Args, void>;
}
