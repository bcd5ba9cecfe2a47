import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Room {
  /** Folders or files of `src/` that this one may import from, beside itself. */
  readonly may: readonly string[];
  readonly packages: readonly string[];
}

const CONTRACT = ['src/async/', 'src/contract/'];
const SYNC = [...CONTRACT, 'src/sync/session/', 'src/sync/contender/', 'src/sync/callers/'];
const BACKEND = [...CONTRACT, 'src/backends/kit/'];
/** What stands on the public surface. */
const OUTSIDE = ['src/async/', 'src/contract/errors.ts', 'src/contract/options.ts', 'src/index.ts'];

/** Which way the arrows point, from the lowest layer up. A folder that is not named here fails the test. */
const rooms: Record<string, Room> = {
  'src/async/': { may: [], packages: ['rxjs'] },
  'src/contract/': { may: ['src/async/'], packages: [] },
  'src/sync/session/': { may: CONTRACT, packages: [] },
  'src/sync/contender/': { may: SYNC.slice(0, 3), packages: [] },
  'src/sync/callers/': { may: SYNC.slice(0, 4), packages: ['rxjs'] },
  'src/sync/reports/': { may: SYNC, packages: ['rxjs'] },
  'src/sync/leadership/': { may: SYNC, packages: ['rxjs'] },
  'src/sync/manager/': { may: [...SYNC, 'src/sync/reports/', 'src/sync/leadership/'], packages: ['rxjs'] },
  'src/backends/kit/': { may: CONTRACT, packages: [] },
  'src/backends/memory/': { may: BACKEND, packages: [] },
  'src/backends/consul/': { may: BACKEND, packages: ['consul'] },
  'src/backends/etcd/': { may: BACKEND, packages: ['etcd3', '@grpc/grpc-js'] },
  'src/backends/postgres/': { may: BACKEND, packages: ['pg'] },
  'src/index.ts': { may: ['src/async/clock.ts', 'src/contract/', 'src/sync/'], packages: [] },
  'src/leases/': { may: OUTSIDE, packages: ['rxjs'] },
  'src/decorators/': { may: [...OUTSIDE, 'src/sync/callers/work-context.ts'], packages: [] },
  'src/di/': {
    may: [...OUTSIDE, 'src/decorators/index.ts'],
    packages: ['inversify'],
  },
  'src/nestjs/': {
    may: [...OUTSIDE, 'src/sync/manager/current-manager.ts', 'src/decorators/index.ts'],
    packages: ['@nestjs/common'],
  },
  'src/telemetry/': {
    may: [...OUTSIDE, 'src/leases/index.ts'],
    packages: ['@opentelemetry/api', 'rxjs'],
  },
  'src/testing/': { may: CONTRACT, packages: [] },
};

const files = listFiles('src');

function listFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/^(?:import|export)\b[^;]*?from '([^']+)';/gms)].map(([, from]) => from ?? '');
}

/** A walk along imports, of types too, that comes back to where it began; or nothing. */
function circleIn(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const walk = (at: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(at)) return [...path.slice(path.indexOf(at)), at];
    if (done.has(at)) return undefined;
    for (const next of graph.get(at) ?? []) {
      const circle = walk(next, [...path, at]);
      if (circle !== undefined) return circle;
    }
    done.add(at);
    return undefined;
  };
  for (const start of graph.keys()) {
    const circle = walk(start, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

function targetsOf(file: string): string[] {
  return importsOf(file).flatMap((from) => (from.startsWith('.') ? [join(dirname(file), from)] : []));
}

const PLATFORM =
  /(?<![.#\w])(?:(?:set|clear)(?:Timeout|Interval|Immediate)|queueMicrotask)(?=\()|\b(?:Date|performance)\.now(?=\()|process\.(?:hrtime|nextTick)|AbortSignal\.timeout|node:timers/g;

/** What of the platform's time and timers is looked up when it is used, and not when the library was loaded. */
function lateLookups(text: string): string[] {
  const [, taken = ''] = /^import \{([^}]*)\} from '[./]*(?:async\/)?platform\.ts';$/m.exec(text) ?? [];
  const names = new Set(taken.split(',').map((name) => name.trim()));
  const code = text.replaceAll(/^\s*(?:\/\*|\*|\/\/).*$/gm, '');
  const found = [...code.matchAll(PLATFORM)].map(([what]) => what).filter((what) => !names.has(what));
  return [...new Set(found)].toSorted((a, b) => Number(a === 'node:timers') - Number(b === 'node:timers'));
}

describe('architecture', () => {
  test('there are files to look at', () => {
    expect(files.length).toBeGreaterThan(40);
  });

  test.each(files)('%s imports only what its folder may', (file) => {
    const folder = Object.keys(rooms).find((name) => file.startsWith(name));
    expect(folder, 'a folder without rules').toBeDefined();
    const { may, packages } = rooms[folder as string] as Room;
    for (const from of importsOf(file)) {
      if (from.startsWith('node:')) continue;
      if (from.startsWith('.')) {
        const target = join(dirname(file), from);
        const allowed = [folder as string, ...may].some((place) => target.startsWith(place));
        expect(allowed, `${file} imports ${target}`).toBe(true);
      } else {
        expect(packages, `${file} imports the package ${from}`).toContain(from);
      }
    }
  });

  test('there is no circle, of files or of rooms', () => {
    expect(circleIn(new Map(files.map((file) => [file, targetsOf(file)])))).toBeUndefined();
    const roomOf = (file: string): string => Object.keys(rooms).find((name) => file.startsWith(name)) ?? file;
    const arrows = new Map<string, string[]>();
    for (const file of files) {
      const from = roomOf(file);
      const to = targetsOf(file)
        .map(roomOf)
        .filter((room) => room !== from);
      arrows.set(from, [...(arrows.get(from) ?? []), ...to]);
    }
    expect(circleIn(arrows)).toBeUndefined();
  });

  test('a circle would be seen', () => {
    const graph = new Map([
      ['a', ['b', 'c']],
      ['b', []],
      ['c', ['d']],
      ['d', ['b', 'a']],
    ]);
    expect(circleIn(graph)).toEqual(['a', 'c', 'd', 'a']);
    expect(
      circleIn(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', []],
        ]),
      ),
    ).toBeUndefined();
  });

  test.each(files)('E12: %s takes the platform’s time and timers where they were taken at load', (file) => {
    if (file === 'src/async/platform.ts') return;
    expect(lateLookups(readFileSync(join(root, file), 'utf8'))).toEqual(
      // Of the wall clock that gRPC compares it with.
      file === 'src/backends/etcd/connection.ts' ? ['Date.now'] : [],
    );
  });

  test('E12: a late look-up would be seen', () => {
    const text =
      "import { setTimeout } from './platform.ts';\nsetTimeout(a); setImmediate(b); performance.now();";
    expect(lateLookups(text)).toEqual(['setImmediate', 'performance.now']);
    expect(lateLookups("import { setTimeout } from 'node:timers/promises';\nsetTimeout(1);")).toEqual([
      'setTimeout',
      'node:timers',
    ]);
  });

  test.each(files)('%s is short and finished', (file) => {
    const text = readFileSync(join(root, file), 'utf8');
    expect(text.split('\n').length).toBeLessThan(400);
    expect(text).not.toMatch(/\b(TODO|FIXME|XXX)\b|@ts-ignore|: any\b|<any>|as any\b/);
  });
});
