import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { spawnChild } from '../servers/child.ts';
import { program } from '../servers/program.ts';
import type { ClientSettings, Message } from './lock-set-protocol.ts';

const fixture = fileURLToPath(new URL('./lock-set-fixture.ts', import.meta.url));

/** A process that takes locks and increments values until it is told to stop. */
export class LockSetClient implements AsyncDisposable {
  readonly name: string;
  /** What it left with: the code or the signal, and what it complained about. */
  readonly left: Promise<{ readonly code: number | string | null; readonly complaint: string }>;
  readonly #child: ChildProcess;

  constructor(settings: ClientSettings, listener: (client: LockSetClient, message: Message) => void) {
    this.name = settings.client;
    const args = ['--unhandled-rejections=strict', program(fixture), JSON.stringify(settings)];
    const child = spawnChild(process.execPath, args);
    this.#child = child;
    const { stdin, stdout, stderr } = child;
    if (stdin === null || stdout === null || stderr === null) throw new Error('no pipes');
    // One that has ended is told of by `left`.
    stdin.on('error', () => undefined);
    let complaint = '';
    stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    createInterface({ input: stdout }).on('line', (line) => listener(this, JSON.parse(line) as Message));
    this.left = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code: code ?? signal, complaint }));
    });
  }

  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Stops it in the middle of whatever it does. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it in the middle of whatever it does. Resolves when all that it has told is heard. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
