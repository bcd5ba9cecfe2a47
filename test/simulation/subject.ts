import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundle } from '../servers/bundle.ts';

/** The library under test: the real one, or a copy with a known mistake in it. */
export interface Subject {
  readonly SyncManager: typeof import('holdfast').SyncManager;
  readonly SyncError: typeof import('holdfast').SyncError;
  readonly MemoryStore: typeof import('holdfast/memory').MemoryStore;
  readonly memory: typeof import('holdfast/memory').memory;
  /** Those that the system named, under the names that it gave them. */
  readonly modules: Readonly<Record<string, unknown>>;
}

/** Below the root, where packages are found; `vitest.config.ts` has it loaded as it is. */
const folder = fileURLToPath(new URL('../../.cache/subjects', import.meta.url));

/** A module that was loaded is not loaded again from the same path. */
let loaded = 0;

/**
 * Loads a library of its own, as one file: of many, each of which is compiled by itself, a run takes half as long again.
 *
 * @param source where the library's sources are: `src/`, or a copy of it. What they import is all that is loaded.
 */
export async function loadSubject(
  source: string,
  modules: Readonly<Record<string, string>> = {},
): Promise<Subject> {
  const parts = { core: 'index.ts', memory: 'backends/memory/index.ts', ...modules };
  const contents = Object.entries(parts).map(([name, file]) => `export * as ${name} from './${file}';`);
  loaded += 1;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${process.pid}-${loaded}.mjs`);
  try {
    bundle(file, { stdin: { contents: contents.join('\n'), resolveDir: source } });
    const { core, memory, ...named } = await import(/* @vite-ignore */ pathToFileURL(file).href);
    return {
      SyncManager: core.SyncManager,
      SyncError: core.SyncError,
      MemoryStore: memory.MemoryStore,
      memory: memory.memory,
      modules: named,
    };
  } finally {
    rmSync(file, { force: true });
  }
}
