import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { spawnChild } from '../../test/servers/child.ts';
import { program } from '../../test/servers/program.ts';
import type { Settings } from './settings.ts';

/** A line of a replica's log. */
export interface LogLine {
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly level: number;
  readonly replica: string;
  readonly msg: string;
  readonly [more: string]: unknown;
}

const file = fileURLToPath(new URL('./replica.ts', import.meta.url));

/** A replica that runs as a process of its own, and does not outlive this one. */
export class Replica {
  readonly name: string;
  readonly url: Promise<string>;
  readonly exited: Promise<unknown[]>;
  readonly #child: ChildProcess;

  constructor(settings: Settings, onLine: (line: LogLine) => void) {
    this.name = settings.replica;
    const options = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.#child = spawnChild(process.execPath, ['--unhandled-rejections=strict', program(file), ...options], {
      stdio: ['ignore', 'pipe', 2],
    });
    this.exited = once(this.#child, 'exit');
    this.url = new Promise((resolve, reject) => {
      const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
      lines.on('line', (text) => {
        const line = JSON.parse(text) as LogLine;
        if (line.msg === 'listens') resolve(String(line.url));
        onLine(line);
      });
      lines.once('close', () => reject(new Error(`replica ${this.name} ended`)));
    });
    // Whoever asks is told.
    this.url.catch(() => undefined);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Milliseconds since the Unix epoch, when it was sent. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): number {
    // Before it: on a busy machine others may have done their part by the time this process goes on.
    const at = Date.now();
    this.#child.kill(signal);
    return at;
  }
}
