import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSubject, type Subject } from '../subject.ts';
import type { System } from '../system.ts';
import { type Patch, patched } from './patch.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const source = join(root, 'src');

/** The library as it is. */
export function loadLibrary({ modules }: Pick<System, 'modules'>): Promise<Subject> {
  return loadSubject(source, modules);
}

/** A module that was loaded is not loaded again from the same path. */
let copies = 0;

/** The library with a mistake in it: a copy of all of `src/`, of which is loaded what is imported. */
export async function loadMutant(
  { modules }: Pick<System, 'modules'>,
  patches: readonly Patch[],
): Promise<Subject> {
  copies += 1;
  const home = join(root, '.cache', 'mutants', `${process.pid}-${copies}`);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  try {
    cpSync(source, home, { recursive: true });
    for (const [file, text] of mutate(patches)) writeFileSync(join(home, file), text);
    return await loadSubject(home, modules);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** The files of `src/` that a mistake changes, as they are with it. Throws unless every patch fits. */
export function mutate(patches: readonly Patch[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const patch of patches) {
    const text = texts.get(patch.file) ?? readFileSync(join(source, patch.file), 'utf8');
    texts.set(patch.file, patched(text, patch));
  }
  return texts;
}
