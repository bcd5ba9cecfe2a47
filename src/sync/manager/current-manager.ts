import { processWide } from '../../async/process-wide.ts';
import { refused } from '../../contract/errors.ts';
import type { Names } from '../../contract/options.ts';
import { checkNames } from '../../contract/options.ts';
import type { LockOptions } from '../callers/call-options.ts';
import type { Lock } from '../callers/lock.ts';
import { INSIDE, MANAGER, type SyncManagerOptions } from './options.ts';
import { SyncManager } from './sync-manager.ts';

/** The managers that may be current in this process, for all copies of this library. */
interface Candidates {
  /** Who was set by hand comes first. */
  chosen: SyncManager | undefined;
  /** Those of services that run, the latest first. */
  services: readonly SyncManager[];
}

const candidates = processWide<Candidates>('current.1', () => ({ chosen: undefined, services: [] }));

/**
 * Makes a manager the one that `leadershipLock()` and `lockWithKey()` use, before those of `startService` and of the modules for
 * containers; `undefined` takes it away again. Gives back the manager that was current before.
 */
export function setCurrentSyncManager(manager: SyncManager | undefined): SyncManager | undefined {
  const previous = present();
  candidates.chosen = manager;
  return previous;
}

function present(): SyncManager | undefined {
  return candidates.chosen ?? candidates.services[0];
}

/** @internal Before those that were made so earlier. Returns what takes it back. */
export function makeCurrent(manager: SyncManager): () => void {
  const others = (): SyncManager[] => candidates.services.filter((other) => other !== manager);
  candidates.services = [manager, ...others()];
  return () => {
    candidates.services = others();
  };
}

export interface ServiceOptions extends SyncManagerOptions {
  /** Whether the service stands for leadership from now on. Default: true. */
  readonly claimLeadership?: boolean;
  /** Whether the manager becomes the current one, until it has stopped: then it is the one before it again. Default: true. */
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
  // Until it has stopped: the work of a leader that is told to end may still need it.
  if (isCurrent) manager.session$.subscribe({ complete: makeCurrent(manager) });
  if (claimLeadership) manager.leadership.stand();
  return manager;
}

/** The contrary: stops the manager, which is not the current one any more when it has stopped. */
export async function stopService(manager: SyncManager): Promise<void> {
  await manager.stop();
  if (candidates.chosen === manager) candidates.chosen = undefined;
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
  const current = present();
  if (current !== undefined) return current;
  const hint = 'load the DI module, or call setCurrentSyncManager(manager) at start-up';
  throw refused('no-current-manager', `${caller} was called before there was a current SyncManager: ${hint}`);
}
