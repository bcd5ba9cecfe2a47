import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, buildSync } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Makes one JavaScript file of a TypeScript one and what it imports from here. Packages stay apart, to be found from where it is put. */
export function bundle(outfile: string, options: BuildOptions): void {
  buildSync({
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    tsconfig: join(root, 'tsconfig.json'),
    logLevel: 'error',
    ...options,
  });
}
