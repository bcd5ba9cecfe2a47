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

/** Which way the arrows point. A folder that is not named here fails the test. */
const rooms: Record<string, Room> = {
  'src/async/': { may: [], packages: [] },
  'src/sync/': { may: ['src/async/'], packages: ['rxjs'] },
  'src/backends/kit/': { may: ['src/async/', 'src/sync/backend.ts'], packages: [] },
  'src/backends/memory/': { may: ['src/async/', 'src/backends/kit/', 'src/sync/backend.ts'], packages: [] },
  'src/backends/consul/': {
    may: ['src/async/', 'src/backends/kit/', 'src/sync/backend.ts'],
    packages: ['consul'],
  },
  'src/backends/etcd/': {
    may: ['src/async/', 'src/backends/kit/', 'src/sync/backend.ts'],
    packages: ['etcd3', '@grpc/grpc-js'],
  },
  'src/decorators/': {
    may: ['src/async/', 'src/index.ts', 'src/sync/known-options.ts', 'src/sync/work-context.ts'],
    packages: [],
  },
  'src/di/': {
    may: [
      'src/async/',
      'src/index.ts',
      'src/sync/known-options.ts',
      'src/sync/options.ts',
      'src/decorators/index.ts',
    ],
    packages: ['inversify'],
  },
  'src/nestjs/': {
    may: [
      'src/async/',
      'src/index.ts',
      'src/sync/known-options.ts',
      'src/sync/leadership.ts',
      'src/sync/options.ts',
      'src/decorators/index.ts',
    ],
    packages: ['@nestjs/common'],
  },
  'src/telemetry/': {
    may: ['src/async/', 'src/index.ts', 'src/sync/known-options.ts', 'src/sync/options.ts'],
    packages: ['@opentelemetry/api'],
  },
  'src/testing/': { may: ['src/async/', 'src/sync/backend.ts', 'src/sync/clock.ts'], packages: [] },
  'src/index.ts': { may: ['src/sync/'], packages: [] },
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

  test.each(files.filter((file) => /^src\/(async|sync|backends\/memory)\//.test(file)))(
    '%s asks the injected clock for the time',
    (file) => {
      if (file === 'src/sync/clock.ts' || file === 'src/async/platform.ts') return;
      const text = readFileSync(join(root, file), 'utf8');
      expect(text).not.toMatch(
        /\b(Date\.now|performance\.now|monotonic(?=[(,])|setTimeout|setInterval|AbortSignal\.timeout|Math\.random)\b/,
      );
    },
  );

  test.each(files)('E12: %s takes the platform’s time and timers where they were taken at load', (file) => {
    if (file === 'src/async/platform.ts') return;
    expect(lateLookups(readFileSync(join(root, file), 'utf8'))).toEqual(
      // Of the wall clock that gRPC compares it with.
      file === 'src/backends/etcd/client.ts' ? ['Date.now'] : [],
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
