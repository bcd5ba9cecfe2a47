export { currentGrant, LeaderOnly, RunOnce, WithLock } from '../decorators/index.ts';
export {
  InjectLeadership,
  InjectLeadershipLock,
  InjectLock,
  type InjectOptions,
  InjectSyncManager,
  LEADERSHIP,
  LEADERSHIP_LOCK,
  lockToken,
  namedToken,
  SYNC_BACKEND,
  SYNC_CLOCK,
  SYNC_LOGGER,
} from './inject.ts';
export type { LoggerOption } from './logger.ts';
export {
  SyncModule,
  type SyncModuleAsyncOptions,
  type SyncModuleOptions,
  type SyncModuleSettings,
} from './sync-module.ts';
