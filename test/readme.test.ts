import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { program } from './servers/program.ts';
import { run } from './servers/run.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, '.cache', `examples-${process.pid}`);

beforeAll(async () => {
  await mkdir(folder, { recursive: true });
  const config = { extends: join(root, 'tsconfig.json'), include: ['.'], exclude: [] };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The TypeScript examples of a document, by the heading they stand under. */
async function examplesOf(document: string): Promise<Map<string, string>> {
  const text = await readFile(join(root, document), 'utf8');
  const examples = new Map<string, string>();
  let heading = '';
  for (const [, title, code] of text.matchAll(/^#+ ([^\n]+)$|^```ts\n(.*?)^```$/gms)) {
    if (title !== undefined) heading = title;
    else examples.set(heading, code ?? '');
  }
  return examples;
}

const expected: Record<string, Record<string, string>> = {
  'README.md': {
    'A first lock': 'held true with token true\n',
    'On etcd': 'written true\n',
    'On Consul': 'leading with token true\n',
    'On Postgres': 'reporting with token true\n',
    'With inversify': 'working false\n',
    'Pools of work items': 'worked on 2\n',
  },
  'docs/services.md': {
    inversify: 'true reports/daily\n',
    Decorators: '7: 10, true, bigint\nonly where this process leads\n',
    'Jobs that every replica begins':
      "{ ran: true, value: 'report of bigint' }\n{ ran: false, why: 'recent' }\n",
    'With node-cron': 'ran\n',
    Leadership: "a leads true\nb sees { member: 'a' }\na ends its work\nb leads true\n",
    NestJS: 'true\n',
    'Log and shutdown': 'true\n',
    Health: 'true live true 1 0 true\n',
    OpenTelemetry: "[ 'lock acquire', 'lock hold' ]\n",
  },
  'docs/building.md': {
    Claims: 'true 1 undefined\ntrue true\n',
    'Owned records': 'seen 1\nlost, and put again: true\ngone 0\n',
    'A commit by several': 'true 1\n',
    Looking: 'flags/dark\nflags/dark,flags/new\n1 2\nstopped\n',
    Stopping: 'function\ngave back false\n',
    Time: 'a minute later 60000\n',
  },
  'docs/leases.md': {
    'Leases: pools of items, each held by one worker': 'true undefined true\n42 true\n',
    'Work: whatever is free': "[ 'x', 'y', 'z' ]\n",
    'Balance: a fair share': 'true\n',
  },
  'docs/postgres.md': { Postgres: '', 'In your own transaction': 'paid true\n' },
  'docs/testing.md': {
    'A service': 'theirs: undefined\nlost: record-gone\ntaken over\n',
    'Time in the hands of a test': 'after half a minute: true\nafter a stall: false\n',
    'A network that fails': 'during the cut: undefined\nhealed: hello\n',
    'What was seen of a lock': 'possible\n',
    'What must be so of a lock at every moment': 'a stale write was accepted: a\n',
    'A backend': 'conforms\n',
  },
};

const fileOf = (document: string, heading: string): string =>
  join(folder, `${document}-${heading}`.replaceAll(/\W+/g, '-').concat('.mts'));

describe.each(Object.entries(expected))('%s', (document, outputs) => {
  let examples: Map<string, string>;
  beforeAll(async () => {
    examples = await examplesOf(document);
    for (const [heading, code] of examples) {
      const pointed = code
        .replaceAll('127.0.0.1:2379', inject('etcdAddress'))
        .replaceAll('127.0.0.1:8500', inject('consulAddress'))
        .replaceAll('127.0.0.1:5432', inject('postgresAddress'));
      await writeFile(fileOf(document, heading), pointed);
    }
  });

  test('every example is known', () => {
    expect([...examples.keys()]).toEqual(Object.keys(outputs));
  });

  test.each(Object.entries(outputs))('%s: the example runs as it stands', async (heading, stdout) => {
    const args = ['--unhandled-rejections=strict', program(fileOf(document, heading))];
    const result = await run(process.execPath, args, { cwd: root, timeout: 60_000 });
    expect(result).toEqual({ code: 0, stderr: '', stdout });
  });
});

test('and all of them compile as strictly as the library itself', async () => {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const types = await run(process.execPath, [compiler, '-p', folder], { cwd: root, timeout: 60_000 });
  expect(types).toEqual({ code: 0, stderr: '', stdout: '' });
});
