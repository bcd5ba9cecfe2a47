import { Inject, type InjectionToken } from '@nestjs/common';
import { processWide } from '../async/process-wide.ts';
import type { Names } from '../contract/options.ts';
import { checkNames } from '../contract/options.ts';
import { SyncManager } from '../index.ts';

export interface InjectOptions {
  /** Of which manager, where there are several: the `named` of its module. */
  readonly manager?: string;
}

/** A lock that a class asks for. */
export interface KnownLock {
  readonly token: symbol;
  readonly key: string;
  readonly manager: string | undefined;
}

const OPTIONS: Names<InjectOptions> = { manager: true };

const known = processWide('nest.1', () => new Map<symbol, KnownLock>());

export const LEADERSHIP_LOCK: unique symbol = Symbol.for('holdfast.LeadershipLock') as never;
export const LEADERSHIP: unique symbol = Symbol.for('holdfast.Leadership') as never;

/** Override it, as with `overrideProvider(SYNC_BACKEND).useValue(memory())`, to replace the backend of the module's options. */
export const SYNC_BACKEND: unique symbol = Symbol.for('holdfast.Backend') as never;
/** Override it to replace the clock. */
export const SYNC_CLOCK: unique symbol = Symbol.for('holdfast.Clock') as never;
/** Override it to replace the logger. */
export const SYNC_LOGGER: unique symbol = Symbol.for('holdfast.Logger') as never;

type Named = typeof SyncManager | symbol;

/** Under which something of a named manager is provided: `namedToken(SyncManager, 'audit')`. */
export function namedToken(token: Named, manager: string | undefined): InjectionToken {
  if (manager === undefined) return token;
  const name = typeof token === 'symbol' ? Symbol.keyFor(token) : 'holdfast.Manager';
  return Symbol.for(`${name} ${JSON.stringify(manager)}`);
}

/** Under which the lock of a key is provided, by modules made before or after this call. */
export function lockToken(key: string, options: InjectOptions = {}): symbol {
  checkNames(options, OPTIONS);
  const { manager } = options;
  const token = Symbol.for(`holdfast.Lock ${JSON.stringify(manager === undefined ? key : [key, manager])}`);
  known.set(token, { token, key, manager });
  return token;
}

/** The locks that classes ask of this manager. */
export function knownLocks(manager: string | undefined): KnownLock[] {
  return [...known.values()].filter((lock) => lock.manager === manager);
}

type Decorates = PropertyDecorator & ParameterDecorator;

/** Injects the manager: the same as `SyncManager` as a type, and for a named one `@InjectSyncManager('audit')`. */
export function InjectSyncManager(manager?: string): Decorates {
  return Inject(namedToken(SyncManager, manager));
}

/** Injects the lock of a key: `@InjectLock('reports/daily') lock: Lock`. */
export function InjectLock(key: string, options?: InjectOptions): Decorates {
  return Inject(lockToken(key, options));
}

/** Injects the service's leadership lock. */
export function InjectLeadershipLock(manager?: string): Decorates {
  return Inject(namedToken(LEADERSHIP_LOCK, manager));
}

/** Injects the service's leadership. */
export function InjectLeadership(manager?: string): Decorates {
  return Inject(namedToken(LEADERSHIP, manager));
}
