import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../servers/run.ts';
import { build } from './built.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds and packs the library as it would be published, below a folder. Resolves with the tarball's path. */
export async function packTarball(place: string): Promise<string> {
  await build(place);
  for (const file of ['README.md', 'CHANGELOG.md', 'LICENSE']) await cp(join(root, file), join(place, file));
  // Without its own build, which would be that of the checkout.
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json'], { cwd: place });
  if (packed.code !== 0) throw new Error(`npm pack failed: ${packed.stderr}`);
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }];
  return join(place, filename);
}
