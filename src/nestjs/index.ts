export { currentGrant, LeaderOnly, RunOnce, WithLock } from '../decorators/index.ts';
export {
  InjectLeadership,
  InjectLeadershipLock,
  InjectLock,
  LEADERSHIP,
  LEADERSHIP_LOCK,
  lockToken,
} from './inject.ts';
export { SyncModule, type SyncModuleAsyncOptions, type SyncModuleOptions } from './sync-module.ts';
