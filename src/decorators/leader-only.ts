import { refused } from '../contract/errors.ts';
import type { Names } from '../contract/options.ts';
import { runUnder } from '../sync/callers/work-context.ts';
import { aroundMethod, type DecoratesMethod } from './method.ts';
import { checkNames } from './options.ts';
import { type DecoratorOptions, managerOf } from './with-lock.ts';

export interface LeaderOnlyOptions extends DecoratorOptions {
  /** What a call does where this process does not lead: nothing (the default), or reject with a `SyncError` `not-leader`. */
  readonly otherwise?: 'skip' | 'throw';
}

const OPTIONS: Names<LeaderOnlyOptions> = { manager: true, otherwise: true };

/**
 * Runs the method only where this process leads its service; it stands for leadership from the first call on. The grant
 * is `currentGrant()` inside: its signal aborts when leadership is lost meanwhile.
 *
 * A method that may be skipped has to return a promise of nothing.
 */
export function LeaderOnly(options: LeaderOnlyOptions & { readonly otherwise: 'throw' }): DecoratesMethod;
export function LeaderOnly(
  options?: LeaderOnlyOptions & { readonly otherwise?: 'skip' },
): DecoratesMethod<[], void>;
export function LeaderOnly(options: LeaderOnlyOptions = {}): DecoratesMethod {
  checkNames('@LeaderOnly', options, OPTIONS);
  const { manager, otherwise = 'skip' } = options;
  return aroundMethod('@LeaderOnly', async (self, _, proceed) => {
    const sync = managerOf(self, manager, '@LeaderOnly()');
    const grant = await sync.leadership.ask();
    if (grant !== undefined) return runUnder(grant, proceed);
    if (otherwise === 'throw') throw refused('not-leader', `this process does not lead "${sync.name}"`);
    return undefined;
  });
}
