import { refused } from '../contract/errors.ts';
import type { SyncError } from '../index.ts';

export function notObtained(problem: string): SyncError {
  return refused('not-obtained', problem);
}

export function refuseItem(id: string): never {
  throw notObtained(`the item ${JSON.stringify(id)} is held, or was changed just now`);
}

export function noRoom(most: number): SyncError {
  return refused(
    'limit-reached',
    `this process holds ${most} items, which is all it may (option "maxItems")`,
  );
}

export function stoppedPool(name: string): SyncError {
  return refused('stopped', `the pool "${name}" was stopped`);
}
