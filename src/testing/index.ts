export {
  type ConformanceCase,
  type ConformanceClientOptions,
  type ConformancePause,
  type ConformanceSubject,
  conformance,
} from './conformance.ts';
export {
  type Linearizability,
  type LinearizableOptions,
  linearizable,
  type Model,
  type Operation,
} from './linearizability.ts';
export {
  type LockCheckOptions,
  LockHistory,
  type LockHistoryOptions,
  type LockVerdict,
} from './lock-history.ts';
export {
  type LockHolder,
  LockInvariants,
  type LockInvariantsOptions,
  type LockViolation,
} from './lock-invariants.ts';
export { ProcessClock, type ProcessClockOptions } from './process-clock.ts';
export { calm, type NetworkConditions, SimulatedNetwork } from './simulated-network.ts';
export { type TcpConditions, TcpProxy } from './tcp-proxy.ts';
export { VirtualClock, type VirtualClockOptions } from './virtual-clock.ts';
