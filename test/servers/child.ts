import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';

/**
 * Reads the ids of our children from a pipe that only this Node process holds open. Its end means that this process
 * has ended, even by SIGKILL, and then whatever is left has to go. The children are not wrapped, so their ids are
 * their own and signals reach them. The second is for them to let go of the folder.
 */
const WATCHDOG = `
pids=' '
while read -r verb pid; do
  case $verb in
    born) pids="$pids$pid " ;;
    died) pids="\${pids%% $pid *} \${pids#* $pid }" ;;
  esac
done
for pid in $pids; do kill -KILL "$pid"; done
[ -d "$1" ] || exit 0
sleep 1
rm -rf -- "$1"
`;

type Stdio = 'ignore' | 'inherit' | 'pipe' | number;

export interface ChildOptions {
  readonly cwd?: string;
  /** On top of this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Pipes unless told otherwise. */
  readonly stdio?: readonly [stdin: Stdio, stdout: Stdio, stderr: Stdio, messages?: 'ipc'];
}

interface Household {
  /** Everything temporary of this process is in here. */
  readonly folder: string;
  readonly children: Set<ChildProcess>;
  readonly watchdog: Writable;
}

let household: Household | undefined;

/** Spawns a command that never outlives this process. */
export function spawnChild(file: string, args: readonly string[], options: ChildOptions = {}): ChildProcess {
  const { children, watchdog } = ours();
  const spawnOptions: SpawnOptions = {
    stdio: [...(options.stdio ?? (['pipe', 'pipe', 'pipe'] as const))],
    env: { ...process.env, ...options.env },
    // A session of its own: Ctrl-C goes to this process only, which then decides in which order things stop.
    detached: true,
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  };
  const child = spawn(file, args, spawnOptions);
  // Whoever cares listens too; for the others a program that is missing must not be an uncaught error.
  child.on('error', () => undefined);
  if (child.pid === undefined) return child;
  watchdog.write(`born ${child.pid}\n`);
  children.add(child);
  child.once('exit', () => {
    children.delete(child);
    watchdog.write(`died ${child.pid}\n`);
  });
  return child;
}

/** Makes a folder that does not outlive this process. */
export function temporaryFolder(name: string): string {
  return mkdtempSync(join(ours().folder, `${name}-`));
}

/** Ends the children that are left and removes what is temporary, where this process goes on with something else. */
export async function clearUp(): Promise<void> {
  if (household === undefined) return;
  const { folder, children } = household;
  const ended = [...children].map((child) => once(child, 'exit'));
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(ended);
  for (const name of await readdir(folder)) {
    await rm(join(folder, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  }
}

/** Made on first use, so that importing this file starts nothing. */
function ours(): Household {
  household ??= found();
  return household;
}

function found(): Household {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-'));
  const shell = spawn('sh', ['-c', WATCHDOG, 'watchdog', folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  const watchdog: Writable & { unref?: () => void } = shell.stdin;
  // Without a watchdog the exit handler below is still there.
  shell.on('error', () => undefined);
  watchdog.on('error', () => undefined);
  shell.unref();
  watchdog.unref?.();

  const children = new Set<ChildProcess>();
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
    } catch {
      // An exit handler must not throw, and the watchdog has another go.
    }
  });
  return { folder, children, watchdog };
}
