import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../servers/run.ts';
import { build, install } from './built.ts';

let place: string;

/** The library as it is built, twice: `require` and `import` may do that, and two versions in one tree of dependencies do. */
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'holdfast-copies-'));
  await build(join(place, 'one'));
  await cp(join(place, 'one'), join(place, 'two'), { recursive: true });
  await install(place, 'rxjs', 'tslib', 'inversify', 'reflect-metadata', '@nestjs');
}, 180_000);
afterAll(() => rm(place, { recursive: true, force: true }));

const load = (copy: string, ...files: string[]): string =>
  `const ${copy} = Object.assign({}, ${files.map((file) => `await import('./${copy}/dist/${file}')`).join(', ')});\n`;

async function prints(name: string, code: string, expected: readonly string[]): Promise<void> {
  await writeFile(
    join(place, `${name}.mjs`),
    `import 'reflect-metadata';
     ${load('one', 'index.js', 'backends/memory/index.js', 'decorators/index.js', 'di/index.js')}
     ${load('two', 'index.js', 'backends/memory/index.js', 'decorators/index.js', 'di/index.js')}
     ${code}`,
  );
  const result = await run(process.execPath, ['--unhandled-rejections=strict', `${name}.mjs`], {
    cwd: place,
  });
  expect(result).toEqual({ code: 0, stdout: `${expected.join('\n')}\n`, stderr: '' });
}

test('E3: an error of another copy is known for what it is', () =>
  prints(
    'errors',
    `class Sub extends one.SyncError {}
     const error = new two.SyncError('lost', 'gone');
     console.log(one.SyncError !== two.SyncError, error instanceof one.SyncError, one.isSyncError(error, 'lost'));
     console.log(error instanceof Sub, new Sub('lost', 'gone') instanceof Sub, new Sub('lost', 'x') instanceof two.SyncError);
     console.log(new Error('lost') instanceof one.SyncError, null instanceof one.SyncError, Object.keys(error).join());`,
    ['true true true', 'false true true', 'false false name,code,outcome'],
  ));

test('E3: a refusal told by a backend of another copy reaches who waits', () =>
  prints(
    'refusal',
    `const backend = two.memory();
     backend.openSession = async () => { throw new two.SyncError('permission-denied', 'no right to open a session'); };
     const sync = new one.SyncManager({ name: 'svc', backend });
     await sync.acquire('k', { timeout: 5_000 }).catch((error) => console.log(error.code));
     await sync.stop();`,
    ['permission-denied'],
  ));

test('E3: the current manager, the current grant and what waits for itself are one for all copies', () =>
  prints(
    'current',
    `const sync = new one.SyncManager({ name: 'svc', backend: one.memory() });
     one.setCurrentSyncManager(sync);
     console.log(two.leadershipLock() === sync.leadershipLock());
     await sync.withLock('k', async (grant) => {
       console.log(two.currentGrant() === grant);
       await two.currentSyncManager().withLock('k', () => {}).catch((error) => console.log(error.code));
     });
     console.log(one.setCurrentSyncManager(undefined) === sync);
     const service = two.startService({ name: 'svc', backend: two.memory(), claimLeadership: false });
     console.log(one.currentSyncManager() === service);
     await one.stopService(service);
     await sync.stop();
     try { one.leadershipLock(); } catch (error) { console.log(error.code); }`,
    ['true', 'true', 'deadlock', 'true', 'true', 'no-current-manager'],
  ));

test('E3: a backend belongs to one manager of any copy, and a store of memory serves all of them', () =>
  prints(
    'backends',
    `const store = new one.MemoryStore();
     const backend = two.memory({ store });
     const mine = new one.SyncManager({ name: 'svc', backend });
     try { new two.SyncManager({ name: 'svc', backend }); } catch (error) { console.log(error.code); }
     const theirs = new two.SyncManager({ name: 'svc', backend: () => two.memory({ store }) });
     await mine.acquire('k');
     console.log(await theirs.tryAcquire('k'));
     await Promise.all([mine.stop(), theirs.stop()]);`,
    ['invalid-option', 'undefined'],
  ));

test('E3: a lock that a class asks of one copy is bound by the module of another', () =>
  prints(
    'injection',
    `const { Container } = await import('inversify');
     const identifier = one.lockIdentifier('reports');
     const container = new Container();
     container.load(two.syncModule({ name: 'svc', backend: one.memory() }));
     console.log(container.get(identifier).key);
     await container.unbindAllAsync();`,
    ['reports'],
  ));
