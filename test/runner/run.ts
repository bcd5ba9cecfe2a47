import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Bounds, Progress } from './progress.ts';
import type { News } from './reporter.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));

/** Milliseconds. */
const LOOK = 250;
const END_WITHIN = 10_000;

/**
 * Runs Vitest as a process of its own, and ends it with all of its workers when a file or the whole takes too long. The bounds
 * are kept out here because a worker whose microtasks never end does not hear its own timers, nor what Vitest asks of it.
 *
 * Resolves to the exit code.
 */
export async function runVitest(args: readonly string[], bounds: Bounds): Promise<number> {
  const child = spawn(process.execPath, [vitest, 'run', ...args, ...reporters(args)], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // A group of its own, to which its workers belong. Servers belong to watchdogs that see their starter die (`child.ts`).
    detached: true,
  });
  const exited = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>;
  const progress = new Progress(bounds, performance.now());
  child.on('message', ({ file, what }: News) => progress[what](file, performance.now()));
  let overdue: string | undefined;
  const look = setInterval(() => {
    overdue ??= progress.overdue(performance.now());
    if (overdue !== undefined) killGroup(child);
  }, LOOK);
  const passOn = passSignalsOn(child);
  try {
    const [code] = await exited;
    if (overdue !== undefined) {
      process.stderr.write(`\n${overdue} The run was ended.\n`);
      return 1;
    }
    const unfinished = progress.unfinished();
    if (unfinished !== undefined) process.stderr.write(`\n${unfinished}\n`);
    return code ?? 1;
  } finally {
    clearInterval(look);
    passOn();
    // What is left of it would go on for ever.
    killGroup(child);
  }
}

/** Vitest's own, unless others are asked for; and ours. */
function reporters(args: readonly string[]): string[] {
  const own = args.some((arg) => /^--reporters?(=|$)/.test(arg));
  const usual = ['default', ...(process.env.GITHUB_ACTIONS === 'true' ? ['github-actions'] : [])];
  return [...(own ? [] : usual), './test/runner/reporter.ts'].map((name) => `--reporter=${name}`);
}

/** Whoever ends us means Vitest, which then has a while to end in good order. Returns what takes it back. */
function passSignalsOn(child: ChildProcess): () => void {
  let late: NodeJS.Timeout | undefined;
  const passOn = (signal: NodeJS.Signals): void => {
    child.kill(signal);
    late ??= setTimeout(() => killGroup(child), END_WITHIN);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, passOn);
  return () => {
    clearTimeout(late);
    for (const signal of signals) process.off(signal, passOn);
  };
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody is left in it.
  }
}
