export { type ConformanceCase, type ConformanceSubject, conformance } from './conformance.ts';
export { VirtualClock, type VirtualClockOptions } from './virtual-clock.ts';
