import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { run } from '../servers/run.ts';
import { build, install } from './built.ts';

const fixture = fileURLToPath(new URL('./realm-fixture.mjs', import.meta.url));
let place: string;

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'holdfast-realms-'));
  await build(place);
  await install(place, 'rxjs', 'tslib', 'consul');
}, 180_000);
afterAll(() => rm(place, { recursive: true, force: true }));

const USE = `
  console.log(typeof TextEncoder, typeof setImmediate, new Uint8Array() instanceof Buffer.from('').constructor);
  const sync = new SyncManager({ name: 'realm', backend: backend(), metadata: { of: 'jest' } });
  const key = 'realm/' + process.pid;
  const controller = new AbortController();
  const rival = new SyncManager({ name: 'realm', backend: backend() });
  console.log(await sync.withLock(key, async (grant) => {
    grant.signal.addEventListener('abort', () => console.log('given back'));
    const waiting = rival.acquire(key, { signal: controller.signal }).catch((error) => console.log(error.message));
    for (let n = 0; n < 20; n++) controller.signal.addEventListener('abort', () => {});
    setTimeout(() => controller.abort(new Error('given up')), 50);
    await waiting;
    // Of the context, and one of Node.
    const then = [{ put: key + '/a', value: new Uint8Array([1]) }, { put: key + '/b', value: Buffer.from('b') }];
    const { ok, read } = await sync.commit({ when: [grant.isOwner], then, read: { prefix: key + '/a' } });
    await sync.commit({ then: [{ remove: key + '/a' }, { remove: key + '/b' }] });
    return ok;
  }));
  sync.events$.subscribe(async (event) => {
    if (event.type === 'lock-held') throw new Error('a listener');
  });
  const work = sync.leadership.whileLeader(async ({ signal }) => {
    console.log('leads');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    console.log('led');
  });
  await sync.leadershipLock().lock();
  await work.stop();
  await Promise.all([sync.stop(), rival.stop()]);
`;

// Not etcd: `@grpc/grpc-js` itself needs what jsdom has not. See docs/compatibility.md.
const backends = {
  memory: () => `import { MemoryStore, memory } from './dist/backends/memory/index.js';
    const store = new MemoryStore();
    const backend = () => memory({ store });`,
  Consul: () => `import { consul } from './dist/backends/consul/index.js';
    const backend = () => consul({ addresses: ['${inject('consulAddress')}'] });`,
};

test.each(Object.entries(backends))(
  'E5: in a context whose classes are not those of Node, all works on %s',
  async (name, backend) => {
    const file = join(place, `${name}.mjs`);
    await writeFile(file, `import { SyncManager } from './dist/index.js';\n${backend()}\n${USE}`);
    const result = await run(
      process.execPath,
      ['--experimental-vm-modules', '--unhandled-rejections=strict', fixture, file],
      { cwd: place },
    );
    const warnings = result.stderr.replace(
      /^.*ExperimentalWarning: VM Modules.*\n.*--trace-warnings.*\n/m,
      '',
    );
    expect({ ...result, stderr: warnings }).toEqual({
      code: 0,
      stdout: ['undefined undefined false', 'given up', 'given back', 'true', 'leads', 'led', ''].join('\n'),
      stderr: expect.stringMatching(
        /^(.*Error: a listener\n( {4}at .*\n)*(\(Use .*--trace-warnings.*\n)?)+$/,
      ),
    });
  },
);
