// Vitest's setup, before each file of those that share a process: nothing that one leaves behind is to reach the next.
import { setCurrentSyncManager } from 'holdfast';
import { afterAll } from 'vitest';
import { watchFromNow } from './busy.ts';
import { clearUp } from './servers/child.ts';

watchFromNow();
afterAll(clearUp);
afterAll(() => {
  const left = setCurrentSyncManager(undefined);
  if (left !== undefined) throw new Error('a manager was left as the current one, for other files to find');
});
