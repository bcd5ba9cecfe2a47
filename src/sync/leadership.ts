import { REFUSED, SyncError } from './backend.ts';
import type { Names } from './known-options.ts';
import type { Lock } from './lock.ts';
import { checkNames, INSIDE, type LockOptions, MANAGER, type SyncManagerOptions } from './options.ts';
import { SyncManager } from './sync-manager.ts';

let current: SyncManager | undefined;

/**
 * Makes a manager the one that `leadershipLock()` and `lockWithKey()` use; `undefined` takes it away.
 * The DI module does this for you. Gives back the manager that was current before.
 */
export function setCurrentSyncManager(manager: SyncManager | undefined): SyncManager | undefined {
  const previous = current;
  current = manager;
  return previous;
}

export interface ServiceOptions extends SyncManagerOptions {
  /** Whether the service stands for leadership from now on. Default: true. */
  readonly claimLeadership?: boolean;
  /** Whether the manager becomes the current one. Default: true. */
  readonly current?: boolean;
}

const SERVICE: Names<ServiceOptions> = { ...MANAGER, claimLeadership: true, current: true };

/**
 * What a container does when it activates the manager of a service: makes it, makes it the current one, and stands for
 * leadership. Throws what the constructor of `SyncManager` throws.
 */
export function startService(options: ServiceOptions): SyncManager {
  checkNames(options, SERVICE, { elsewhere: INSIDE });
  const { claimLeadership = true, current: isCurrent = true, ...rest } = options;
  const manager = new SyncManager(rest);
  if (isCurrent) setCurrentSyncManager(manager);
  if (claimLeadership) manager.leadership.stand();
  return manager;
}

/** The contrary: stops the manager, and takes it away as the current one if it is that. */
export async function stopService(manager: SyncManager): Promise<void> {
  if (current === manager) current = undefined;
  await manager.stop();
}

/**
 * The leadership lock of this service, for elections: `if (await leadershipLock().tryLock()) { ... }`.
 * Throws a `SyncError` `no-current-manager` before a manager was made current.
 */
export function leadershipLock(): Lock {
  return currentSyncManager('leadershipLock()').leadershipLock();
}

/** The lock of a key, from the current manager. Throws as `leadershipLock` and `SyncManager.lock` do. */
export function lockWithKey(key: string, options?: LockOptions): Lock {
  return currentSyncManager('lockWithKey()').lock(key, options);
}

/** The manager that was made current. Throws a `SyncError` `no-current-manager` if there is none. */
export function currentSyncManager(caller = 'currentSyncManager()'): SyncManager {
  if (current !== undefined) return current;
  const hint = 'load the DI module, or call setCurrentSyncManager(manager) at start-up';
  throw new SyncError(
    'no-current-manager',
    `${caller} was called before there was a current SyncManager: ${hint}`,
    REFUSED,
  );
}
