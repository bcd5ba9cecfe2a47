import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type AptSource, debianSources, formatSource, readAptSources } from './apt-sources.ts';
import { withLock } from './lock.ts';
import { run } from './run.ts';

const ATTEMPTS = 3;
const APT_TIMEOUT = 240_000;
const WORK_PREFIX = 'fetch-';

/** The places of the machine that fetching looks at. */
export interface Machine {
  /** Where unpacked packages are kept. */
  readonly cache: string;
  /** The folder of apt's configuration. */
  readonly aptFolder: string;
  readonly osRelease: string;
}

/**
 * Makes the packages of a Debian suite available in a folder of the cache and returns it. Nothing outside the cache
 * is written. What is in the cache under its final name is complete, as it got there by one rename.
 */
export async function unpackPackages(
  machine: Machine,
  suite: string,
  packages: readonly string[],
): Promise<string> {
  const folder = join(machine.cache, suite, packages.join('+'));
  if (existsSync(folder)) return folder;
  const sources = await mirrors(machine);
  // One fetch at a time, as apt's lists of the suite are shared; the others then find the folder.
  return withLock(join(machine.cache, suite, 'lock'), async () => {
    await removeLeftovers(join(machine.cache, suite));
    let failure: unknown;
    for (let attempt = 0; attempt < ATTEMPTS && !existsSync(folder); attempt += 1) {
      if (attempt > 0) await delay(1_000 * attempt);
      for (const source of sources) {
        if (existsSync(folder)) break;
        await fetchInto(folder, machine, source, suite, packages).catch((error: unknown) => {
          failure = error;
        });
      }
    }
    if (!existsSync(folder)) throw failure;
    return folder;
  });
}

/** Of a process that was killed while it fetched; nobody else works here now. */
async function removeLeftovers(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(WORK_PREFIX));
  await Promise.all(names.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

async function mirrors({ aptFolder, osRelease }: Machine): Promise<AptSource[]> {
  const release = await readFile(osRelease, 'utf8').catch(() => '');
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(release)?.[1];
  if (field('ID') !== 'debian') throw new Error('this is not a Debian machine');
  const sources = debianSources(readAptSources(aptFolder), field('VERSION_CODENAME') ?? '');
  if (sources.length === 0) throw new Error('the apt sources of this machine name no Debian mirror');
  return sources;
}

async function fetchInto(
  folder: string,
  machine: Machine,
  source: AptSource,
  suite: string,
  packages: readonly string[],
): Promise<void> {
  const work = await mkdtemp(join(machine.cache, suite, WORK_PREFIX));
  try {
    const config = await configureApt(join(machine.cache, suite, 'apt'), work, source, suite);
    await apt(['-c', config, 'update'], work);
    await apt(['-c', config, 'download', ...packages], work);
    const root = join(work, 'root');
    for (const file of await readdir(work)) {
      if (file.endsWith('.deb')) await must('dpkg', ['-x', join(work, file), root]);
    }
    await rename(root, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Writes a configuration that keeps apt inside the cache. It comes on top of the machine's own, so that proxies and
 * credentials still count, but clears the machine's hooks, which would act on the system.
 */
async function configureApt(state: string, work: string, source: AptSource, suite: string): Promise<string> {
  const lists = join(state, 'lists');
  const archives = join(state, 'cache', 'archives');
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(join(archives, 'partial'), { recursive: true });
  const sourceFile = join(work, 'suite.sources');
  const config = join(work, 'apt.conf');
  await writeFile(sourceFile, formatSource(source, suite));
  const settings: Record<string, string> = {
    'Dir::Etc::SourceList': sourceFile,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'Dir::State::Lists': lists,
    'Dir::Cache': join(state, 'cache'),
    'Dir::Cache::Archives': archives,
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    // The unprivileged user that apt would switch to cannot write into the cache.
    'APT::Sandbox::User': 'root',
    // Otherwise an update that reached nothing counts as a success.
    'APT::Update::Error-Mode': 'any',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
  };
  const hooks = ['Pre-Invoke', 'Post-Invoke', 'Post-Invoke-Success'];
  await writeFile(
    config,
    [
      ...hooks.map((hook) => `#clear APT::Update::${hook};`),
      ...Object.entries(settings).map(([name, value]) => `${name} "${value}";`),
      '',
    ].join('\n'),
  );
  return config;
}

/** `apt-get download` writes into the current folder. */
async function apt(args: readonly string[], cwd: string): Promise<void> {
  await must('apt-get', ['-q', ...args], cwd);
}

async function must(file: string, args: readonly string[], cwd?: string): Promise<void> {
  const { code, stderr } = await run(file, args, {
    timeout: APT_TIMEOUT,
    env: { LC_ALL: 'C' },
    ...(cwd !== undefined && { cwd }),
  });
  if (code === 0) return;
  const reason = /^(?:E|sh|leash|dpkg\S*): .*/m.exec(stderr)?.[0] ?? stderr.trim().split('\n').at(-1);
  throw new Error(`${file} failed${reason ? `: ${reason}` : ''}`);
}
