import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../servers/run.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let project: string;

/** What a project gets that installs the package and nothing else: the tarball's files, and `rxjs`. */
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'holdfast-package-'));
  const modules = join(project, 'node_modules');
  const home = join(modules, 'holdfast');
  await mkdir(home, { recursive: true });
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const built = await run(
    process.execPath,
    [compiler, '-p', 'tsconfig.build.json', '--outDir', join(home, 'dist')],
    { cwd: root, timeout: 60_000 },
  );
  expect(built).toMatchObject({ code: 0, stdout: '' });
  await cp(join(root, 'package.json'), join(home, 'package.json'));
  for (const dependency of ['rxjs', 'tslib']) {
    await symlink(join(root, 'node_modules', dependency), join(modules, dependency));
  }
});
afterAll(() => rm(project, { recursive: true, force: true }));

async function runs(name: string, code: string) {
  await writeFile(join(project, name), code);
  return run(process.execPath, [name], { cwd: project });
}

test('the core and the memory backend need no optional peer', async () => {
  const result = await runs(
    'core.mjs',
    `import { SyncManager } from 'holdfast';
     import { memory } from 'holdfast/memory';
     import { WithLock } from 'holdfast/decorators';
     import { conformance } from 'holdfast/testing';
     const sync = new SyncManager({ name: 'svc', backend: memory() });
     console.log(await sync.withLock('k', ({ held }) => held), typeof conformance, typeof WithLock);
     await sync.stop();`,
  );
  expect(result).toEqual({ code: 0, stdout: 'true function function\n', stderr: '' });
});

test('a CommonJS program can require it', async () => {
  const result = await runs(
    'common.cjs',
    `const { SyncManager } = require('holdfast');
     const { memory } = require('holdfast/memory');
     const sync = new SyncManager({ name: 'svc', backend: memory() });
     sync.withLock('k', ({ held }) => console.log(held)).then(() => sync.stop());`,
  );
  expect([result.code, result.stdout]).toEqual([0, 'true\n']);
});

test.each([
  ['holdfast/consul', 'consul'],
  ['holdfast/etcd', 'etcd3'],
  ['holdfast/di', 'inversify'],
  ['holdfast/nestjs', '@nestjs/common'],
  ['holdfast/opentelemetry', '@opentelemetry/api'],
])('%s without its peer says which package is missing', async (subpath, peer) => {
  const result = await runs(
    'peer.mjs',
    `await import('${subpath}').catch((error) => console.log(error.message));`,
  );
  expect(result.stdout).toContain(`Cannot find package '${peer}'`);
});

test('every export is there, with its types', async () => {
  const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { types: string; default: string }>;
  };
  for (const target of Object.values(exports)) {
    for (const file of typeof target === 'string' ? [target] : Object.values(target)) {
      expect((await readFile(join(project, 'node_modules', 'holdfast', file))).length).toBeGreaterThan(0);
    }
  }
});

test('what is internal to the engine is not in the published types', async () => {
  const types = await readFile(
    join(project, 'node_modules', 'holdfast', 'dist', 'sync', 'grant.d.ts'),
    'utf8',
  );
  expect(types).toContain('assertHeld');
  expect(types).not.toMatch(/\b(guard|announce|pendingWrites|end)\b\(/);
});
