import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from '../servers/lock.ts';
import { run } from '../servers/run.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const cache = join(root, '.cache', 'built');

/** Builds the library into a folder: its own `dist`, as published, and its `package.json`. */
export async function build(place: string): Promise<void> {
  await cp(await compiled(), join(place, 'dist'), { recursive: true });
  await cp(join(root, 'package.json'), join(place, 'package.json'));
}

/** Compiled once for all who want it of the same sources. */
async function compiled(): Promise<string> {
  return await withLock(join(cache, 'lock'), async () => {
    const name = await fingerprint();
    const folder = join(cache, name);
    if (existsSync(folder)) return folder;
    for (const other of await readdir(cache)) {
      if (other !== 'lock') await rm(join(cache, other), { recursive: true, force: true });
    }
    const work = join(cache, `${name}-work`);
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const { code, stdout } = await run(
      process.execPath,
      [compiler, '-p', 'tsconfig.build.json', '--outDir', work],
      { cwd: root, timeout: 120_000 },
    );
    if (code !== 0) throw new Error(`The build failed: ${stdout}`);
    await rename(work, folder);
    return folder;
  });
}

/** Of all that the compiler goes by. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  const sources = await readdir(join(root, 'src'), { recursive: true, withFileTypes: true });
  const files = sources
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((name) =>
    join(root, name),
  );
  for (const file of [...files.toSorted(), ...settings]) hash.update(file).update(await readFile(file));
  return hash.digest('hex').slice(0, 16);
}

/** What the checkout has installed. Their own dependencies are found where they really are. */
export async function install(place: string, ...packages: string[]): Promise<void> {
  await mkdir(join(place, 'node_modules'), { recursive: true });
  for (const name of packages)
    await symlink(join(root, 'node_modules', name), join(place, 'node_modules', name));
}
