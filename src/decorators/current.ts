import { AsyncLocalStorage } from 'node:async_hooks';
import { type Grant, SyncError } from '../index.ts';

const grants = new AsyncLocalStorage<Grant>();

/**
 * The grant under which the innermost decorated method runs, also in what it calls and awaits.
 * Throws a `SyncError` `no-current-grant` outside of one.
 */
export function currentGrant(): Grant {
  const grant = grants.getStore();
  if (grant === undefined) {
    const hint = 'it is for what a method with @WithLock or @LeaderOnly calls';
    throw new SyncError('no-current-grant', `currentGrant() was called under no grant: ${hint}`);
  }
  return grant;
}

export function runUnder<T>(grant: Grant, work: () => T): T {
  return grants.run(grant, work);
}
