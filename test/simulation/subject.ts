import { pathToFileURL } from 'node:url';

/** The library under test: the real one, or a copy with a known mistake in it. */
export interface Subject {
  readonly SyncManager: typeof import('holdfast').SyncManager;
  readonly SyncError: typeof import('holdfast').SyncError;
  readonly MemoryStore: typeof import('holdfast/memory').MemoryStore;
  readonly memory: typeof import('holdfast/memory').memory;
  /** Those that the system named, under the names that it gave them. */
  readonly modules: Readonly<Record<string, unknown>>;
}

/** @param source where the library's sources are: `src/`, or a copy of it. What they import is all that is loaded. */
export async function loadSubject(
  source: string,
  modules: Readonly<Record<string, string>> = {},
): Promise<Subject> {
  const load = (file: string) => import(pathToFileURL(`${source}/${file}`).href);
  const [core, memory] = await Promise.all([load('index.ts'), load('backends/memory/index.ts')]);
  const named = Object.entries(modules).map(async ([name, file]) => [name, await load(file)] as const);
  return {
    SyncManager: core.SyncManager,
    SyncError: core.SyncError,
    MemoryStore: memory.MemoryStore,
    memory: memory.memory,
    modules: Object.fromEntries(await Promise.all(named)),
  };
}
