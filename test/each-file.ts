// Vitest's setup, before each file of those that share a process: nothing that one leaves behind is to reach the next.
import { afterAll } from 'vitest';
import { watchFromNow } from './busy.ts';
import { clearUp } from './servers/child.ts';

watchFromNow();
afterAll(clearUp);
