import { existsSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundle } from './bundle.ts';
import { temporaryFolder } from './child.ts';

const packages = fileURLToPath(new URL('../../node_modules', import.meta.url));
const built = new Map<string, string>();

/**
 * What Node is to run for a TypeScript program: it is made into one file of JavaScript, once for all processes that are started with it
 * from here. Each would take two seconds of a processor to compile it for itself.
 *
 * @param file two folders below the root of this repository, as everything is that it imports and that asks where it is.
 */
export function program(file: string): string {
  const known = built.get(file);
  // What is temporary goes with the file of tests that it was made for.
  if (known !== undefined && existsSync(known)) return known;
  const folder = temporaryFolder('program');
  symlinkSync(packages, join(folder, 'node_modules'));
  const outfile = join(folder, basename(file).replace(/\.m?ts$/, '.mjs'));
  bundle(outfile, {
    entryPoints: [file],
    sourcemap: 'inline',
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(file).href) },
  });
  built.set(file, outfile);
  return outfile;
}
