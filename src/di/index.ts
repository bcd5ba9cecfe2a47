export { currentGrant, LeaderOnly, RunOnce, WithLock } from '../decorators/index.ts';
export { LEADERSHIP, LEADERSHIP_LOCK, SYNC_BACKEND, SYNC_CLOCK, SYNC_LOGGER } from './identifiers.ts';
export { type InjectLockOptions, injectLock, lockIdentifier } from './inject-lock.ts';
export { type SyncModuleOptions, type SyncModuleSettings, syncModule } from './sync-module.ts';
