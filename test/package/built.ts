import { cp, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../servers/run.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds the library into a folder: its own `dist`, as published, and what the checkout has installed. */
export async function build(place: string): Promise<void> {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { code, stdout } = await run(
    process.execPath,
    [compiler, '-p', 'tsconfig.build.json', '--outDir', join(place, 'dist')],
    { cwd: root, timeout: 120_000 },
  );
  if (code !== 0) throw new Error(`The build failed: ${stdout}`);
  await cp(join(root, 'package.json'), join(place, 'package.json'));
}

/** What the checkout has installed. Their own dependencies are found where they really are. */
export async function install(place: string, ...packages: string[]): Promise<void> {
  await mkdir(join(place, 'node_modules'), { recursive: true });
  for (const name of packages)
    await symlink(join(root, 'node_modules', name), join(place, 'node_modules', name));
}
