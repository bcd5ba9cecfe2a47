import type { ServiceIdentifier } from 'inversify';
import type { Backend, Clock, Leadership, Lock, Logger } from '../index.ts';

/** The service's leadership lock: `@inject(LEADERSHIP_LOCK) leadership: Lock`. */
export const LEADERSHIP_LOCK: ServiceIdentifier<Lock> = Symbol.for('holdfast.LeadershipLock');

/** The service's leadership: `@inject(LEADERSHIP) leadership: Leadership`. */
export const LEADERSHIP: ServiceIdentifier<Leadership> = Symbol.for('holdfast.Leadership');

/** Bind it to replace the backend of the module's options: a test binds `memory()`, or a function that makes one. */
export const SYNC_BACKEND: ServiceIdentifier<Backend | (() => Backend)> = Symbol.for('holdfast.Backend');

/** Bind it to replace the clock. */
export const SYNC_CLOCK: ServiceIdentifier<Clock> = Symbol.for('holdfast.Clock');

/** Bind it to replace the logger. */
export const SYNC_LOGGER: ServiceIdentifier<Logger> = Symbol.for('holdfast.Logger');
