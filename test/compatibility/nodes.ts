import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { npmInstall } from '../package/npm.ts';
import { withLock } from '../servers/lock.ts';
import { run } from '../servers/run.ts';

/** What the npm package `node` would install by a script of its own, which npm may be told not to run. */
const { platform, arch } = process;
const PACKAGE = `node${platform === 'darwin' && arch === 'arm64' ? '-bin' : ''}-${platform}-${arch}`;

/** Fetches a Node from npm, once: what is in the cache under its final name is complete. */
export async function fetchNode(version: string, cache: string): Promise<string> {
  const folder = join(cache, `node-${version}`);
  await mkdir(cache, { recursive: true });
  // Much to unpack for two cores: one at a time.
  await withLock(join(cache, 'lock'), async () => {
    if (existsSync(folder)) return;
    const work = await mkdtemp(join(cache, 'fetch-'));
    try {
      await npmInstall(work, [`${PACKAGE}@${version}`]);
      await rename(work, folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  const binary = join(folder, 'node_modules', PACKAGE, 'bin', 'node');
  const { stdout } = await run(binary, ['--version']);
  if (stdout.startsWith(`v${version}`)) return binary;
  throw new Error(`${PACKAGE}@${version} says that it is Node "${stdout.trim()}": remove ${folder}`);
}
