import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { run } from '../servers/run.ts';
import { npmInstall } from './npm.ts';
import { type Step, sectionOf, stepsOf } from './readme-steps.ts';
import { packTarball } from './tarball.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** From an empty folder to the first lock. */
const MAX_COMMANDS = 5;

let place: string;
let tarball: string;
let readme: string;

beforeAll(async () => {
  readme = await readFile(join(root, 'README.md'), 'utf8');
  place = await mkdtemp(join(tmpdir(), 'holdfast-minutes-'));
  tarball = await packTarball(join(place, 'source'));
}, 180_000);
afterAll(() => rm(place, { recursive: true, force: true }));

const isCommand = (step: Step) => step.name === 'command';

/** Does what the steps say, with the packed library and the servers of this run. Resolves with what the last command printed. */
async function follow(steps: readonly Step[], folder: string): Promise<string> {
  await mkdir(folder);
  let printed = '';
  for (const step of steps) {
    if (step.name === 'save') {
      const content = step.content
        .replaceAll('127.0.0.1:2379', inject('etcdAddress'))
        .replaceAll('127.0.0.1:8500', inject('consulAddress'))
        .replaceAll('127.0.0.1:5432', inject('postgresAddress'));
      await writeFile(join(folder, step.file), content);
      continue;
    }
    const [file = '', ...args] = step.words.map((word) => (word === 'holdfast' ? tarball : word));
    const installs = file === 'npm' && args[0] === 'install';
    const result = installs
      ? await npmInstall(folder, args.slice(1))
      : await run(file, args, { cwd: folder, timeout: 60_000 });
    expect(result.code, `${step.words.join(' ')}: ${result.stderr}`).toBe(0);
    printed = result.stdout;
  }
  return printed;
}

test.each([
  ['A first lock', 'held true with token true\n'],
  ['Pools of work items', 'worked on 2\n'],
  ['On etcd', 'written true\n'],
  ['On Consul', 'leading with token true\n'],
  ['On Postgres', 'reporting with token true\n'],
  ['With inversify', 'working false\n'],
])(
  'E10: "%s" of the README leads from an empty folder to a lock, as it stands, in five commands',
  async (title, printed) => {
    const steps = stepsOf(sectionOf(readme, title));
    const commands = steps.filter(isCommand);
    expect(commands.length).toBeGreaterThan(0);
    expect(commands.length).toBeLessThanOrEqual(MAX_COMMANDS);
    const folder = join(place, title.replaceAll(' ', '-'));
    expect(await follow(steps, folder)).toBe(printed);
  },
  600_000,
);

test('E10: the tsconfig.json of the README compiles its example, with the types of the packed library', async () => {
  // Installed above.
  const folder = join(place, 'With-inversify');
  const compiler = join(folder, 'node_modules', 'typescript', 'bin', 'tsc');
  const types = await run(process.execPath, [compiler, '--noEmit'], { cwd: folder, timeout: 120_000 });
  expect(types).toEqual({ code: 0, stdout: '', stderr: '' });
}, 150_000);

test('E10: without stop() the first example goes on, as the README says', async () => {
  expect(sectionOf(readme, 'A first lock')).toContain('**A program does not end by itself before `stop()`**');
  const folder = join(place, 'A-first-lock');
  const whole = await readFile(join(folder, 'lock.js'), 'utf8');
  const endless = whole.replace('await sync.stop();\n', '');
  expect(endless).not.toBe(whole);
  // This timer keeps nothing alive: it comes only if something else does.
  const probe = `setTimeout(() => { console.log('goes on'); process.exit(); }, 1_000).unref();\n`;
  const end = async (file: string, code: string) => {
    await writeFile(join(folder, file), code + probe);
    return (await run(process.execPath, [file], { cwd: folder })).stdout;
  };
  expect(await end('endless.js', endless)).toBe('held true with token true\ngoes on\n');
  expect(await end('ending.js', whole)).toBe('held true with token true\n');
});
