export { currentGrant } from './current.ts';
export { LeaderOnly, type LeaderOnlyOptions } from './leader-only.ts';
export type { DecoratesMethod } from './method.ts';
export { RunOnce, type RunOnceOptions } from './run-once.ts';
export { type DecoratorOptions, WithLock, type WithLockOptions } from './with-lock.ts';
