import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { postgresUrl } from '../servers/postgres.ts';
import { run } from '../servers/run.ts';
import { install } from './built.ts';
import { packTarball } from './tarball.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let project: string;

/** A project that has installed the packed tarball and what the package depends on: `rxjs`, and nothing else. */
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'holdfast-package-'));
  const tarball = await packTarball(join(project, 'source'));
  const home = join(project, 'node_modules', 'holdfast');
  await mkdir(home, { recursive: true });
  const unpacked = await run('tar', ['-xzf', tarball, '-C', home, '--strip-components=1']);
  expect(unpacked).toMatchObject({ code: 0 });
  await install(project, 'rxjs', 'tslib');
}, 120_000);
afterAll(() => rm(project, { recursive: true, force: true }));

async function runs(name: string, code: string, where = project) {
  await writeFile(join(where, name), code);
  return run(process.execPath, ['--unhandled-rejections=strict', name], { cwd: where });
}

test('the core and the memory backend need no optional peer', async () => {
  const result = await runs(
    'core.mjs',
    `import { SyncManager } from 'holdfast';
     import { memory } from 'holdfast/memory';
     import { WithLock } from 'holdfast/decorators';
     import { LeasePool } from 'holdfast/leases';
     import { conformance } from 'holdfast/testing';
     const sync = new SyncManager({ name: 'svc', backend: memory() });
     console.log(await sync.withLock('k', ({ held }) => held), typeof conformance, typeof WithLock);
     const pool = new LeasePool(sync, { prefix: 'p' });
     await pool.add({ id: 'a', attributes: null });
     console.log((await pool.obtain({ lesseeId: 'me' })).held);
     await sync.stop();`,
  );
  expect(result).toEqual({ code: 0, stdout: 'true function function\ntrue\n', stderr: '' });
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
  ['etcd', 'etcd3', { hosts: inject('etcdAddress') }],
  ['consul', 'consul', { addresses: [inject('consulAddress')] }],
  ['postgres', 'pg', { connectionString: postgresUrl(inject('postgresAddress')) }],
] as const)('with the core and %s only, nothing else is ever loaded', async (backend, peer, options) => {
  const where = await mkdtemp(join(project, `${backend}-`));
  await mkdir(join(where, 'node_modules'));
  await cp(join(project, 'node_modules', 'holdfast'), join(where, 'node_modules', 'holdfast'), {
    recursive: true,
  });
  await install(where, 'rxjs', 'tslib', peer);
  const use = `
    const key = 'package/' + process.pid;
    const sync = new SyncManager({ name: 'package', backend: ${backend}(${JSON.stringify(options)}) });
    sync.withLock(key, async (grant) => {
      const { ok } = await sync.commit({ when: [grant.isOwner] });
      console.log(grant.held, ok);
    }).then(() => sync.stop());`;
  const names = `{ SyncManager }`;
  const asModule = `import ${names} from 'holdfast'; import { ${backend} } from 'holdfast/${backend}';${use}`;
  const asScript = `const ${names} = require('holdfast'); const { ${backend} } = require('holdfast/${backend}');${use}`;
  // Experimental in some of the supported versions of Node, which then say so.
  const quiet = (text: string) => text.replace(/^.*ExperimentalWarning.*\n(.*--trace-warnings.*\n)?/m, '');
  for (const [file, code] of [
    ['use.mjs', asModule],
    ['use.cjs', asScript],
  ] as const) {
    const result = await runs(file, code, where);
    expect({ ...result, stderr: quiet(result.stderr) }, file).toEqual({
      code: 0,
      stdout: 'true true\n',
      stderr: '',
    });
  }
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

test('E10: every subpath has its types where `moduleResolution: node` looks for them', async () => {
  const described = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    main: string;
    types: string;
    typesVersions: { '*': Record<string, string[]> };
    exports: Record<string, { types?: string; default: string }>;
  };
  const { '.': entry, ...subpaths } = described.exports;
  expect([described.main, described.types]).toEqual([entry?.default, entry?.types]);
  const types = Object.entries(subpaths).flatMap(([path, { types }]) =>
    types === undefined ? [] : [[path.replace('./', ''), [types]] as const],
  );
  expect(types.length).toBeGreaterThan(7);
  expect(described.typesVersions).toEqual({ '*': Object.fromEntries(types) });
});

test.each([
  ['sync/callers/grant.d.ts', 'assertHeld', /\b(guard|announce|pendingWrites|end)\b\(/],
  ['sync/callers/claim.d.ts', 'release', /\bconstructor\b/],
  ['sync/callers/change.d.ts', 'commit', /\bconstructor\b/],
  ['leases/lease.d.ts', 'checkpoint', /\b(constructor|yield|end)\b\(/],
  ['leases/fleet.d.ts', 'assignment$', /\b(constructor|pump|worker|running)\b\(/],
])('what is internal is not in the published types: %s', async (file, own, internal) => {
  const types = await readFile(join(project, 'node_modules', 'holdfast', 'dist', file), 'utf8');
  expect(types).toContain(own);
  expect(types).not.toMatch(internal);
});
