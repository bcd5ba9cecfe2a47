import { type ChildOptions, spawnChild } from './child.ts';

export interface RunOptions extends Pick<ChildOptions, 'cwd' | 'env'> {
  /** Written to the command's standard input. */
  readonly input?: string;
  /** Milliseconds until the command is killed; 30 s by default. */
  readonly timeout?: number;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit code, or `null` if a signal ended the command, as the timeout does. */
  readonly code: number | null;
}

/** Runs a command to its end. A failing command is a result, not an error. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawnChild(file, args, options);
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeout ?? 30_000);
    const output = { stdout: '', stderr: '' };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text;
    });
    // A command that does not read its input closes it, which is no failure.
    child.stdin?.on('error', () => undefined).end(options.input ?? '');
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ ...output, code });
    });
  });
}
