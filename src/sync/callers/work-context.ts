import { AsyncLocalStorage } from 'node:async_hooks';
import { processWide } from '../../async/process-wide.ts';
import { refused, type SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import type { Grant } from './grant.ts';

/** The grants under which code runs, the innermost first. */
interface Under {
  readonly grant: Grant;
  readonly outer: Under | undefined;
}

const context = processWide('grants.1', () => new AsyncLocalStorage<Under>());

/** Runs work of which, and of all that it calls and awaits, it is known then that it is done under this grant. */
export function runUnder<T>(grant: Grant, work: () => T): T {
  return context.run({ grant, outer: context.getStore() }, work);
}

/** The innermost grant under which the present code runs. */
export function presentGrant(): Grant | undefined {
  return context.getStore()?.grant;
}

/** Throws a `SyncError` `deadlock` if the present code is work under this grant: to wait for its end, it would wait for itself. */
export function assertNotUnder(holder: Grant | undefined): void {
  if (holder === undefined) return;
  for (let under = context.getStore(); under !== undefined; under = under.outer) {
    if (under.grant === holder) throw deadlock(holder.key);
  }
}

function deadlock(key: string): SyncError {
  const what = `the lock ${quoteKey(key)} is held by the very work that asks for it, which would wait for itself`;
  return refused('deadlock', `${what}: hand the grant on, or release it first`);
}
