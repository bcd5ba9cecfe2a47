import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { spawnChild } from '../test/servers/child.ts';

/** Milliseconds on the clock that all processes of a machine share. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A process of its own that is told and tells by lines of JSON. */
export class PeerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(fixture: string, args: readonly string[]) {
    const file = fileURLToPath(new URL(`./${fixture}`, import.meta.url));
    this.#child = spawnChild(process.execPath, ['--import', 'tsx', file, ...args], {
      stdio: ['pipe', 'pipe', 2],
    });
    if (this.#child.stdout === null) throw new TypeError('a pipe was asked for');
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  tell(line: object): void {
    this.#child.stdin?.write(`${JSON.stringify(line)}\n`);
  }

  async told<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the other process ended');
    return JSON.parse(value) as T;
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    this.#child.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}
