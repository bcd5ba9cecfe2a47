export { type ConformanceCase, type ConformanceSubject, conformance } from './conformance.ts';
export { ProcessClock, type ProcessClockOptions } from './process-clock.ts';
export { calm, type NetworkConditions, SimulatedNetwork } from './simulated-network.ts';
export { VirtualClock, type VirtualClockOptions } from './virtual-clock.ts';
