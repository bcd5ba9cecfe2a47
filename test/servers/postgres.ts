import { readFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { installSql } from '../../src/backends/postgres/index.ts';
import { locateBinary } from './locate.ts';
import { asNobody, giveToNobody, letNobodyThrough } from './nobody.ts';
import { type PortReservation, reservePorts } from './ports.ts';
import { type Command, retryInUse, ServerProcess } from './process.ts';
import { type RunResult, run } from './run.ts';
import type { SettableClock } from './settable-clock.ts';

export interface PostgresServerOptions {
  /** Settings, as in `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** With the schema `holdfast`. */
  readonly schema?: boolean;
  /** Wait for the disk. Tests want speed, benchmarks what is true. */
  readonly fsync?: boolean;
  /** The clock that it goes by, in place of the machine's. */
  readonly clock?: SettableClock;
}

/** A running Postgres with one role, `postgres`, that needs no password. */
export class PostgresServer extends ServerProcess {
  /** `host:port`. */
  readonly address: string;
  /** A connection string. */
  readonly url: string;
  readonly #binary: string;
  readonly #options: PostgresServerOptions;

  constructor(binary: string, options: PostgresServerOptions, reservation: PortReservation) {
    super('postgres', reservation);
    this.#binary = binary;
    this.#options = options;
    this.address = `127.0.0.1:${this.ports[0]}`;
    this.url = postgresUrl(this.address);
  }

  get dataDir(): string {
    return join(this.folder, 'data');
  }

  /** Makes the data folder, where there is none yet. */
  async initialise(): Promise<this> {
    letNobodyThrough(dirname(this.folder));
    giveToNobody(this.folder);
    const { code, stderr } = await this.program('initdb', [
      '-D',
      this.dataDir,
      '-U',
      'postgres',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--no-locale',
      '-N',
    ]);
    if (code !== 0) throw new Error(`initdb failed: ${stderr.trim()}`);
    return this;
  }

  /** Each connection has a process of its own, which would go on by itself where the server is stopped. */
  override async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const children = this.running && process.platform === 'linux' ? childrenOf(this.pid) : [];
    await super.kill(signal);
    // Of those that are stopped none would notice that the server is gone.
    for (const child of children) signalTo(child, signal === 'SIGSTOP' ? signal : 'SIGCONT');
  }

  /** In its own way, as what it shares between its processes would outlast it otherwise: that is no file of its folder. */
  override async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGCONT');
    await this.stop('SIGQUIT');
    await super[Symbol.asyncDispose]();
  }

  /** Runs one statement as the superuser. */
  async sql(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      const { rows } = await client.query(text, [...values]);
      return rows;
    } finally {
      await client.end();
    }
  }

  /** Runs another program of the same version to its end. */
  program(name: string, args: readonly string[]): Promise<RunResult> {
    const { file, args: all, env } = asNobody(join(dirname(this.#binary), name), args);
    return run(file, all, { cwd: this.folder, timeout: 60_000, ...(env && { env }) });
  }

  protected override command(): Command {
    const settings = {
      port: String(this.ports[0]),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_connections: '400',
      ...(this.#options.fsync !== true && {
        fsync: 'off',
        synchronous_commit: 'on',
        full_page_writes: 'off',
      }),
      ...this.#options.settings,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    return asNobody(this.#binary, ['-D', this.dataDir, ...args], this.#options.clock?.env);
  }

  /** The answer to a request for TLS is one byte, as soon as the server takes connections. */
  protected override isReady(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.ports[0] ?? 0, '127.0.0.1', () => {
        const user = Buffer.from('\0\0\0\0\0\x03\0\0user\0postgres\0database\0postgres\0\0', 'latin1');
        user.writeInt32BE(user.length);
        socket.write(user);
      });
      socket.setTimeout(1_000, () => socket.destroy(new Error('silent')));
      socket.once('data', (data) => {
        socket.destroy();
        resolve(data.toString('latin1', 0, 1) === 'R');
      });
      socket.once('error', reject);
    });
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number);
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

/** @param address `host:port`, of a server that asks its only role for no password. */
export function postgresUrl(address: string): string {
  return `postgres://postgres@${address}/postgres`;
}

export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const binary = await realpath(await locateBinary('postgres'));
  return retryInUse(async () => {
    const server = new PostgresServer(binary, options, await reservePorts(1));
    await (await server.initialise()).start();
    if (options.schema) await server.sql(installSql());
    return server;
  });
}
