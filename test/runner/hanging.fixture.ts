// Only collected where `HOLDFAST_HANGS` says how it is to hang; `runner.test.ts` starts it.
import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { SyncManager } from 'holdfast';
import { memory } from 'holdfast/memory';
import { expect, inject, test } from 'vitest';
import { spawnChild } from '../servers/child.ts';
import type { Traces, Way } from './traces.ts';

test('hangs', async () => {
  const way = process.env.HOLDFAST_HANGS as Way;
  const child = spawnChild(process.execPath, ['-e', 'setInterval(() => {}, 1_000)']);
  const traces: Traces = { pids: [process.ppid, process.pid, child.pid], etcd: inject('etcdAddress') };
  writeFileSync(process.env.HOLDFAST_TRACES ?? '', JSON.stringify(traces));
  expect(way).not.toBe('fails');
  if (way === 'dies') process.kill(process.pid, 'SIGKILL');
  if (way === 'waits') await new Promise(() => {});
  // Others want the processor, too.
  setPriority(19);
  const sync = new SyncManager({ name: 'svc', backend: memory() });
  await sync.stop();
  for (;;) await sync.acquire('k').catch(() => undefined);
  // Longer than any bound it is to be ended by.
}, 600_000);
