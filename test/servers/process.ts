import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { spawnChild, temporaryFolder } from './child.ts';
import type { PortReservation } from './ports.ts';

const READY_WITHIN = 30_000;
const TERMINATE_WITHIN = 5_000;
const LAST_LINES = 20;

/** What to run. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A server could not take a port that was free a moment ago. */
export class AddressInUseError extends Error {
  override readonly name = 'AddressInUseError';
}

/** Starts again, on other ports, when something outside this harness took one of them. */
export async function retryInUse<T>(start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof AddressInUseError) || attempt === 3) throw error;
    }
  }
}

/**
 * A server on reserved loopback ports with a temporary folder. It never outlives this process, nor keeps it alive.
 * Its output goes to a file rather than to a pipe: a blocked event loop here must not block the server.
 */
export abstract class ServerProcess implements AsyncDisposable {
  /** Everything the server writes is in here; removed on disposal. */
  readonly folder: string;
  readonly ports: readonly number[];
  readonly #name: string;
  readonly #reservation: PortReservation;
  #child: ChildProcess | undefined;
  #logStart = 0;

  protected constructor(name: string, reservation: PortReservation) {
    this.#name = name;
    this.#reservation = reservation;
    this.ports = reservation.ports;
    this.folder = temporaryFolder(name);
  }

  protected abstract command(): Command;

  /** Whether the server can be used now. A rejection counts as "not yet", and must come within seconds. */
  protected abstract isReady(): Promise<boolean>;

  /** The server's own process id. */
  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined || !this.running) throw new Error(`${this.#name} is not running.`);
    return pid;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The server's whole output, over all its starts. */
  get log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  /** Starts the server and waits until it is ready. On failure nothing is left. */
  async start(): Promise<this> {
    try {
      await this.#launch();
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
    return this;
  }

  /** SIGTERM, and SIGKILL if that does not help. Data and ports are kept for `restart`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running) return;
    child.kill(signal);
    // A stopped process sees it only when it continues.
    child.kill('SIGCONT');
    const timer = setTimeout(() => child.kill('SIGKILL'), TERMINATE_WITHIN);
    await this.#exited(child);
    clearTimeout(timer);
  }

  /** Sends a signal to the server itself. After SIGKILL it is gone when this resolves. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running) return;
    child.kill(signal);
    if (signal === 'SIGKILL') await this.#exited(child);
  }

  /** Starts it again on the same ports and data, stopping it first if it still runs. Resolves when it is ready. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#launch();
  }

  /** Ends the server at once, removes its folder and releases its ports. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGKILL');
    this.#reservation.release();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  }

  get #logFile(): string {
    return join(this.folder, 'output.log');
  }

  async #launch(): Promise<void> {
    const { file, args, env } = this.command();
    const output = openSync(this.#logFile, 'a');
    this.#logStart = this.log.length;
    const child = spawnChild(file, args, { stdio: ['ignore', output, output], ...(env && { env }) });
    closeSync(output);
    child.unref();
    this.#child = child;
    await this.#untilReady();
  }

  async #untilReady(): Promise<void> {
    const deadline = performance.now() + READY_WITHIN;
    while (this.running) {
      const ready = await this.isReady().catch(() => false);
      if (ready && this.running) return;
      if (performance.now() > deadline) throw this.#failure(`was not ready within ${READY_WITHIN / 1000} s`);
      await delay(20);
    }
    throw this.#failure('ended while it was starting');
  }

  #failure(what: string): Error {
    const output = this.log.slice(this.#logStart).trimEnd();
    const message = `${this.#name} ${what}. Its last lines:\n${output.split('\n').slice(-LAST_LINES).join('\n')}`;
    return /address already in use/i.test(output) ? new AddressInUseError(message) : new Error(message);
  }

  /** Looks again and again, since the timer keeps the event loop alive meanwhile; the child itself does not. */
  async #exited(child: ChildProcess): Promise<void> {
    while (child.exitCode === null && child.signalCode === null) await delay(2);
  }
}
