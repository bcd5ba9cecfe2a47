import { readdirSync, readFileSync } from 'node:fs';
import { until } from '../scenarios/world.ts';
import type { ServerProcess } from '../servers/process.ts';

/** Stops a server with SIGSTOP, and resolves when it does nothing any more: its threads stop one after the other. */
export async function suspend(server: ServerProcess): Promise<void> {
  await server.kill('SIGSTOP');
  if (process.platform === 'linux') await until(() => states(server.pid).every((state) => state === 'T'));
}

function states(pid: number): (string | undefined)[] {
  return readdirSync(`/proc/${pid}/task`).map(
    (thread) => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))?.[1],
  );
}
