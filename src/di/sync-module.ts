import { ContainerModule, type ServiceIdentifier } from 'inversify';
import { type Lock, SyncManager, type SyncManagerOptions, setCurrentSyncManager } from '../index.ts';

/** Injects the service's leadership lock: `@inject(LEADERSHIP_LOCK) leadership: Lock`. */
export const LEADERSHIP_LOCK: ServiceIdentifier<Lock> = Symbol.for('holdfast.LeadershipLock');

export interface SyncModuleOptions extends SyncManagerOptions {
  /** Whether the service stands for leadership from the manager's activation on. Default: true. */
  readonly claimLeadership?: boolean;
}

/**
 * Binds the manager under its class, `@inject(SyncManager)`, and the leadership lock under `LEADERSHIP_LOCK`, as
 * singletons. The manager's activation, which is its first injection, makes it the current one for
 * `leadershipLock()` and `lockWithKey()` and starts the leadership claim. Its deactivation stops everything; since
 * that does I/O, it takes the asynchronous call: `container.unloadAsync(module)` or `container.unbindAllAsync()`.
 */
export function syncModule(options: SyncModuleOptions): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(SyncManager)
      .toDynamicValue(() => start(options))
      .inSingletonScope()
      .onDeactivation(stop);
    bind(LEADERSHIP_LOCK)
      .toDynamicValue((context) => context.get(SyncManager).leadershipLock())
      .inSingletonScope();
  });
}

function start({ claimLeadership = true, ...options }: SyncModuleOptions): SyncManager {
  const manager = new SyncManager(options);
  setCurrentSyncManager(manager);
  if (claimLeadership) {
    // The claim stands, whatever this first answer is; what goes wrong is on `manager.events$`.
    manager
      .leadershipLock()
      .tryLock()
      .catch(() => undefined);
  }
  return manager;
}

async function stop(manager: SyncManager): Promise<void> {
  const current = setCurrentSyncManager(undefined);
  if (current !== manager) setCurrentSyncManager(current);
  await manager.stop();
}
