import { Inject } from '@nestjs/common';
import { processWide } from '../async/process-wide.ts';

const known = processWide('nest.1', () => new Map<symbol, string>());

/** Injects the lock of a key: `@InjectLock('reports/daily') lock: Lock`. */
export function InjectLock(key: string): PropertyDecorator & ParameterDecorator {
  return Inject(lockToken(key));
}

/** Injects the service's leadership lock. */
export function InjectLeadershipLock(): PropertyDecorator & ParameterDecorator {
  return Inject(LEADERSHIP_LOCK);
}

/** Injects the service's leadership. */
export function InjectLeadership(): PropertyDecorator & ParameterDecorator {
  return Inject(LEADERSHIP);
}

export const LEADERSHIP_LOCK: unique symbol = Symbol.for('holdfast.LeadershipLock') as never;
export const LEADERSHIP: unique symbol = Symbol.for('holdfast.Leadership') as never;

/** Under which the lock of a key is provided by the modules that are made after this call. */
export function lockToken(key: string): symbol {
  const token = Symbol.for(`holdfast.Lock ${JSON.stringify(key)}`);
  known.set(token, key);
  return token;
}

/** The locks that classes ask for. */
export function knownLocks(): [token: symbol, key: string][] {
  return [...known];
}
