import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Machine, unpackPackages } from './packages.ts';
import { run } from './run.ts';

interface Row {
  /** The Debian packages to unpack together; the program and, where it has some, its libraries. */
  readonly packages: readonly string[];
  readonly path: string;
  /** The first suite wins whose program runs on this machine. */
  readonly suites: readonly string[];
  readonly versionArgs: readonly string[];
  /** Where Debian has it, a folder for each version, off PATH. */
  readonly places?: readonly string[];
}

/** To add a program, add a row. */
const PROGRAMS = {
  consul: {
    packages: ['consul'],
    path: 'usr/bin/consul',
    suites: ['bullseye'],
    versionArgs: ['version'],
  },
  etcd: {
    packages: ['etcd-server'],
    path: 'usr/bin/etcd',
    suites: ['trixie', 'bookworm'],
    versionArgs: ['--version'],
  },
  etcdctl: {
    packages: ['etcd-client'],
    path: 'usr/bin/etcdctl',
    suites: ['trixie', 'bookworm'],
    versionArgs: ['version'],
  },
  postgres: {
    packages: [
      'postgresql-15',
      'postgresql-client-15',
      'libpq5',
      'libicu72',
      'libldap-2.5-0',
      'liblz4-1',
      'libpam0g',
      'libsasl2-2',
      'libssl3',
      'libxml2',
      'libzstd1',
      'libgssapi-krb5-2',
      'libkrb5-3',
      'libk5crypto3',
      'libkrb5support0',
      'libcom-err2',
      'libkeyutils1',
    ],
    path: 'usr/lib/postgresql/15/bin/postgres',
    suites: ['bookworm'],
    versionArgs: ['--version'],
    places: ['/usr/lib/postgresql'],
  },
  pgbouncer: {
    packages: [
      'pgbouncer',
      'libc-ares2',
      'libevent-2.1-7',
      'libpam0g',
      'libssl3',
      'libsystemd0',
      'libcap2',
      'libgcrypt20',
    ],
    path: 'usr/sbin/pgbouncer',
    suites: ['bookworm'],
    versionArgs: ['--version'],
  },
  // For comparisons only: no test needs it.
  'redis-server': {
    packages: [
      'redis-server',
      'redis-tools',
      'libatomic1',
      'libjemalloc2',
      'liblua5.1-0',
      'liblzf1',
      'lua-bitop',
      'lua-cjson',
    ],
    path: 'usr/bin/redis-server',
    suites: ['bookworm'],
    versionArgs: ['--version'],
  },
} satisfies Record<string, Row>;

/** Where Debian has libraries, below `usr`. */
export const LIBRARIES = join('lib', process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu');

/** Where an unpacked program finds the libraries that were unpacked with it. */
export function librariesOf(program: string): Record<string, string> {
  const usr = /^(.*\/usr)\//.exec(program)?.[1] ?? join(dirname(program), '..');
  return { LD_LIBRARY_PATH: join(usr, LIBRARIES) };
}

/** This machine, and the cache of this repository. */
export const thisMachine: Machine = {
  cache: fileURLToPath(new URL('../../.cache/servers', import.meta.url)),
  aptFolder: '/etc/apt',
  osRelease: '/etc/os-release',
};

export type ProgramName = keyof typeof PROGRAMS;

export interface LocateOptions extends Partial<Machine> {
  /** In the form of the variable PATH. */
  readonly path?: string;
}

/**
 * Finds a program: on PATH in whatever version, else in the cache of this repository, else by fetching its Debian
 * package into that cache. Throws an error with a readable sentence if nothing of that works.
 */
export async function locateBinary(name: ProgramName, options: LocateOptions = {}): Promise<string> {
  const onPath = await findOnPath(name, options.path ?? process.env.PATH ?? '');
  if (onPath !== undefined) return onPath;

  const machine: Machine = { ...thisMachine, ...options };
  const row: Row = PROGRAMS[name];
  const installed = await findInPlaces(name, options.path === undefined ? (row.places ?? []) : []);
  if (installed !== undefined) return installed;
  const tried: string[] = [];
  for (const suite of row.suites) {
    try {
      const program = join(await unpackPackages(machine, suite, row.packages), row.path);
      const { code, stderr } = await run(program, row.versionArgs, {
        timeout: 10_000,
        env: librariesOf(program),
      });
      if (code === 0) return program;
      tried.push(`${suite}: it does not run here, ${stderr.trim().split('\n').at(-1)}`);
    } catch (error) {
      tried.push(`${suite}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(
    `There is no ${name} to run: it is not on PATH, and its Debian package could not be used (${tried.join('; ')}); ` +
      'install it, or run "docker compose up -d" and set HOLDFAST_ETCD=127.0.0.1:2379, ' +
      'HOLDFAST_CONSUL=127.0.0.1:8500 and HOLDFAST_POSTGRES=127.0.0.1:5432.',
  );
}

/** The newest version. */
async function findInPlaces(name: string, places: readonly string[]): Promise<string | undefined> {
  for (const place of places) {
    const versions = await readdir(place).catch(() => []);
    const newestFirst = versions
      .map(Number)
      .filter(Number.isFinite)
      .sort((a, b) => b - a);
    const found = await findOnPath(
      name,
      newestFirst.map((version) => join(place, String(version), 'bin')).join(delimiter),
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

async function findOnPath(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter((entry) => entry !== '')) {
    const file = join(folder, name);
    const executable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return file;
  }
  return undefined;
}
