export type {
  Backend,
  BackendTraits,
  Clock,
  Commit,
  CommitResult,
  Condition,
  Cursor,
  Mutation,
  QueryOptions,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
  StoredRecord,
  Timer,
} from './sync/backend.ts';
export { systemClock } from './sync/clock.ts';
export type { SyncCommit, SyncMutation } from './sync/commit.ts';
export {
  type CronCoordinator,
  type CronCoordinatorOptions,
  cronCoordinator,
} from './sync/cron-coordinator.ts';
export { isSyncError, type RequestOutcome, SyncError, type SyncErrorCode } from './sync/errors.ts';
export type { SyncEvent } from './sync/events.ts';
export type { Grant, Proof } from './sync/grant.ts';
export type { SyncHealth } from './sync/health.ts';
export type { Holder } from './sync/holder.ts';
export type { Leadership, StepDownOptions } from './sync/leader.ts';
export type { LeaderWork, OnFailure, Term, WhileLeaderOptions } from './sync/leader-work.ts';
export {
  currentSyncManager,
  leadershipLock,
  lockWithKey,
  type ServiceOptions,
  setCurrentSyncManager,
  startService,
  stopService,
} from './sync/leadership.ts';
export type { Lock } from './sync/lock.ts';
export type { LossReason } from './sync/lock-machine.ts';
export type { LockLoss, LockStatus } from './sync/lock-streams.ts';
export type { Logger } from './sync/logger.ts';
export type { JsonValue, Metadata } from './sync/metadata.ts';
export type {
  AcquireOptions,
  CallOptions,
  HandOff,
  LockOptions,
  SessionTiming,
  StopOptions,
  SyncManagerOptions,
} from './sync/options.ts';
export type { RunOnceOptions, RunOnceResult } from './sync/run-once.ts';
export type { SessionEnd } from './sync/session.ts';
export type { SessionState } from './sync/session-keeper.ts';
export { installShutdown, type ShutdownOptions } from './sync/shutdown.ts';
export { SyncManager } from './sync/sync-manager.ts';
export type {
  AskingCall,
  ManagerTelemetry,
  ObservedManager,
  Outcome,
  Telemetry,
} from './sync/telemetry.ts';
