export type { Clock, Timer } from './async/clock.ts';
export { systemClock } from './async/clock.ts';
export type {
  Backend,
  BackendTraits,
  Commit,
  CommitResult,
  CommittedWithin,
  Condition,
  Cursor,
  Mutation,
  QueryOptions,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
  StoredRecord,
} from './contract/backend.ts';
export { isSyncError, type RequestOutcome, SyncError, type SyncErrorCode } from './contract/errors.ts';
export type { AcquireOptions, CallOptions, CommitOptions, LockOptions } from './sync/callers/call-options.ts';
export type { AskingCall, ManagerTelemetry, Outcome } from './sync/callers/call-telemetry.ts';
export type { Change } from './sync/callers/change.ts';
export type { Claim, ClaimOptions, ClaimReleaseOptions } from './sync/callers/claim.ts';
export { type Grant, type Proof, tokenOf } from './sync/callers/grant.ts';
export type { SyncCommit, SyncMutation } from './sync/callers/guarded-commit.ts';
export type { Lock } from './sync/callers/lock.ts';
export type { LockLoss, LockStatus } from './sync/callers/lock-streams.ts';
export type { JsonValue, Metadata } from './sync/callers/metadata.ts';
export type { SyncQueryOptions } from './sync/callers/queries.ts';
export type { RunOnceOptions, RunOnceResult } from './sync/callers/run-once.ts';
export type { LossReason } from './sync/contender/lock-machine.ts';
export type { Holder } from './sync/leadership/holder-watch.ts';
export type { LeaderWork, OnFailure, Term, WhileLeaderOptions } from './sync/leadership/leader-work.ts';
export type { Leadership, StepDownOptions } from './sync/leadership/leadership.ts';
export {
  type CronCoordinator,
  type CronCoordinatorOptions,
  cronCoordinator,
} from './sync/manager/cron-coordinator.ts';
export {
  currentSyncManager,
  leadershipLock,
  lockWithKey,
  type ServiceOptions,
  setCurrentSyncManager,
  startService,
  stopService,
} from './sync/manager/current-manager.ts';
export type { ForkOptions } from './sync/manager/fork.ts';
export type { HandOff, StopOptions, SyncManagerOptions } from './sync/manager/options.ts';
export { installShutdown, type ShutdownOptions } from './sync/manager/shutdown.ts';
export type { StopStage } from './sync/manager/stages.ts';
export { SyncManager } from './sync/manager/sync-manager.ts';
export type { SyncHealth } from './sync/reports/health.ts';
export type { Logger } from './sync/reports/logger.ts';
export type { SyncEvent } from './sync/reports/sync-event.ts';
export type { ObservedManager, Telemetry } from './sync/reports/telemetry.ts';
export type { SessionEnd } from './sync/session/session.ts';
export type { SessionState } from './sync/session/session-keeper.ts';
export type { SessionTiming } from './sync/session/timing.ts';
