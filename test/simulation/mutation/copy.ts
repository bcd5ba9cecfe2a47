import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Subject } from '../world.ts';
import { type Patch, patched } from './patch.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The files of `src/` that a mistake changes, as they are with it. Throws unless every patch fits. */
export function mutate(patches: readonly Patch[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const patch of patches) {
    const text = texts.get(patch.file) ?? readFileSync(join(root, 'src', patch.file), 'utf8');
    texts.set(patch.file, patched(text, patch));
  }
  return texts;
}

/** The library with a mistake in it: a copy of all of `src/`, of which is loaded what is imported. */
export async function loadMutant(patches: readonly Patch[]): Promise<Subject> {
  const home = join(root, '.cache', 'mutants', `${process.pid}-${loaded++}`);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  cpSync(join(root, 'src'), home, { recursive: true });
  for (const [file, text] of mutate(patches)) writeFileSync(join(home, file), text);
  try {
    const [core, memory] = await Promise.all(
      ['index.ts', 'backends/memory/index.ts'].map((file) => import(pathToFileURL(join(home, file)).href)),
    );
    const { SyncManager, SyncError } = core;
    return { SyncManager, SyncError, MemoryStore: memory.MemoryStore, memory: memory.memory };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** A module that was loaded is not loaded again from the same path. */
let loaded = 0;
