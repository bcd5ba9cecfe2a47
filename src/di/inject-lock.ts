import { inject, type ServiceIdentifier } from 'inversify';
import { processWide } from '../async/process-wide.ts';
import type { Names } from '../contract/options.ts';
import { checkNames } from '../contract/options.ts';
import type { Lock } from '../index.ts';

export interface InjectLockOptions {
  /** Of which manager, where there are several: the `named` of its module. */
  readonly manager?: string;
}

interface KnownLock {
  readonly key: string;
  readonly manager: string | undefined;
  readonly identifier: ServiceIdentifier<Lock>;
}

const OPTIONS: Names<InjectLockOptions> = { manager: true };

const known = processWide('injected.1', () => new Map<ServiceIdentifier, KnownLock>());

/** Under which the lock of a key is bound by the modules that are loaded after this call. */
export function lockIdentifier(key: string, options: InjectLockOptions = {}): ServiceIdentifier<Lock> {
  checkNames(options, OPTIONS);
  const { manager } = options;
  const identifier = Symbol.for(`holdfast.Lock ${JSON.stringify([key, manager])}`);
  known.set(identifier, { key, manager, identifier });
  return identifier;
}

/**
 * Injects the lock of a key: `@injectLock('reports/daily') lock: Lock`, for a constructor's parameter or a property. The
 * class has to be defined, which importing it does, before the module is loaded.
 */
export function injectLock(key: string, options?: InjectLockOptions): ReturnType<typeof inject> {
  return inject(lockIdentifier(key, options));
}

/** The locks that classes ask of this manager. */
export function knownLocks(manager: string | undefined): KnownLock[] {
  return [...known.values()].filter((lock) => lock.manager === manager);
}
