import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import { addressOf } from './site.ts';
import { stores } from './stores.ts';

const fixture = fileURLToPath(new URL('./exit-fixture.ts', import.meta.url));

test.each(stores)('after stop() a process on %s exits by itself', async (store) => {
  const address = addressOf(store);
  const args = ['--unhandled-rejections=strict', program(fixture), store, address];
  const result = await run(process.execPath, args, { timeout: 30_000 });
  expect(result).toEqual({ code: 0, stderr: '', stdout: 'SyncError: the manager "exit" was stopped\n' });
});
