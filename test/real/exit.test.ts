import { fileURLToPath } from 'node:url';
import { expect, inject, test } from 'vitest';
import { run } from '../servers/run.ts';

const fixture = fileURLToPath(new URL('./exit-fixture.ts', import.meta.url));

test.each(['etcd', 'consul'] as const)('after stop() a process on %s exits by itself', async (store) => {
  const address = inject(store === 'etcd' ? 'etcdAddress' : 'consulAddress');
  const args = ['--unhandled-rejections=strict', '--import', 'tsx', fixture, store, address];
  const result = await run(process.execPath, args, { timeout: 30_000 });
  expect(result).toEqual({ code: 0, stderr: '', stdout: 'SyncError: the manager "exit" was stopped\n' });
});
