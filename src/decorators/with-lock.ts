import type { Names } from '../contract/options.ts';
import { type AcquireOptions, currentSyncManager, type SyncManager } from '../index.ts';
import { runUnder } from '../sync/callers/work-context.ts';
import { aroundMethod, type DecoratesMethod } from './method.ts';
import { checkNames } from './options.ts';

export interface DecoratorOptions {
  /** Finds the manager, from the instance whose method is called. Default: the current one (`setCurrentSyncManager`). */
  readonly manager?: (self: never) => SyncManager;
}

export interface WithLockOptions extends AcquireOptions, DecoratorOptions {}

/** Fixed, or made of the arguments. */
export type KeyOf<Args extends readonly unknown[]> = string | ((...args: Args) => string);

export const OPTIONS: Names<WithLockOptions> = {
  manager: true,
  signal: true,
  timeout: true,
  metadata: true,
  maxHold: true,
};

export function managerOf(
  self: object,
  manager: DecoratorOptions['manager'],
  decorator: string,
): SyncManager {
  return manager?.(self as never) ?? currentSyncManager(decorator);
}

export function nameOf<Args extends readonly unknown[]>(key: KeyOf<Args>, args: unknown[]): string {
  return typeof key === 'string' ? key : key(...(args as unknown as Args));
}

/**
 * Runs the method while it holds a lock of its own: calls for one key go one after the other, in all processes. The key
 * is fixed, or made of the arguments. The grant is `currentGrant()` inside. Rejects as `sync.withLock` does.
 */
export function WithLock<Args extends readonly unknown[] = []>(
  key: KeyOf<Args>,
  given: WithLockOptions = {},
): DecoratesMethod<Args> {
  checkNames('@WithLock', given, OPTIONS);
  const { manager, ...options } = given;
  return aroundMethod('@WithLock', (self, args, proceed) => {
    const sync = managerOf(self, manager, '@WithLock');
    const name = nameOf(key, args);
    // Also where the manager itself does not keep track of it.
    return sync.withLock(name, (grant) => runUnder(grant, proceed), options);
  }) as DecoratesMethod<Args>;
}
