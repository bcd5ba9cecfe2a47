import { refused } from '../contract/errors.ts';
import type { Grant } from '../index.ts';
import { presentGrant } from '../sync/callers/work-context.ts';

/**
 * The grant under which the present code runs, as the work of a decorated method, of `withLock` or of `whileLeader`, the innermost
 * one. Throws a `SyncError` `no-current-grant` outside of one.
 */
export function currentGrant(): Grant {
  const grant = presentGrant();
  if (grant === undefined) {
    const hint = 'it is for what a method with @WithLock or @LeaderOnly calls';
    throw refused('no-current-grant', `currentGrant() was called under no grant: ${hint}`);
  }
  return grant;
}
