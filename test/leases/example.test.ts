import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Entry } from '../../examples/stream-partitions/ledger.ts';
import { judge } from '../../examples/stream-partitions/verdict.ts';
import { reservePorts } from '../servers/ports.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';

const main = fileURLToPath(new URL('../../examples/stream-partitions/main.ts', import.meta.url));
const partitions = (...args: string[]) =>
  run(process.execPath, ['--unhandled-rejections=strict', program(main), ...args], {
    timeout: 240_000,
  });

// One after the other: each starts four processes, which takes a busy machine long enough as it is.
test.each([
  ['memory', 'cut off from the store'],
  ['etcd', 'SIGKILL'],
  ['consul', 'SIGKILL'],
  ['postgres', 'SIGKILL'],
])(
  'on %s a worker disappears, its partitions go on elsewhere from their checkpoints, and it ends by itself',
  { timeout: 250_000 },
  async (store, how) => {
    const args = ['--backend', store, '--partitions', '6', '--events', '500', '--pace', '5'];
    const { code, stdout, stderr } = await partitions(...args);
    expect([code, stderr], stdout).toEqual([0, '']);
    expect(stdout).toContain(`worker b disappears: ${how}`);
    const [, orphans = ''] = stdout.match(/its partitions (.+) go on elsewhere/) ?? [];
    expect(orphans).not.toBe('');
    const [before = '', after = ''] = stdout.split('worker b disappears');
    expect(before).toMatch(/a: \d[\d ]* {3}b: \d[\d ]* {3}c: \d/);
    expect(after).not.toContain('b: ');
    expect(after).toMatch(/ {3}d: \d/);
    expect(stdout).toMatch(/ 3000 events, \d+ repeated after the last checkpoint/);
    expect(stdout.trimEnd()).toMatch(/in order, and nothing was lost$/);
  },
);

test.concurrent('without its server it ends in one readable sentence', async () => {
  const { ports, release } = await reservePorts(1);
  try {
    const address = `127.0.0.1:${ports[0]}`;
    const { code, stdout, stderr } = await partitions('--backend', 'etcd', '--address', address);
    expect([code, stderr]).toEqual([2, '']);
    expect(stdout).toMatch(new RegExp(`cannot go on: .*${address}`));
    expect(stdout.trim().split('\n')).toHaveLength(1);
  } finally {
    release();
  }
});

test.concurrent('what cannot be is refused in one line', async () => {
  const { code, stderr } = await partitions('--partitions', '0');
  expect(code).toBe(1);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain('It must be a whole number above 0.');
});

const did = (token: number, ...events: number[]): Entry[] =>
  events.map((event) => ({ partition: 'p', token: String(token), event }));
const noted = (token: number, checkpoint: number): Entry[] => [
  { partition: 'p', token: String(token), checkpoint },
];

test.each<[string, Entry[], Partial<ReturnType<typeof judge>>]>([
  ['in order', [...did(1, 1, 2), ...noted(1, 2), ...did(1, 3)], { faults: [], repeated: 0, stale: 0 }],
  ['on from the checkpoint', [...did(1, 1, 2), ...noted(1, 1), ...did(2, 2, 3)], { faults: [], repeated: 1 }],
  ['a checkpoint that was not told any more', [...did(1, 1, 2), ...did(2, 3)], { faults: [], repeated: 0 }],
  [
    'stale',
    [...did(1, 1), ...noted(1, 1), ...did(2, 2), ...did(1, 2), ...did(2, 3)],
    { faults: [], stale: 1 },
  ],
  [
    'from before the checkpoint',
    [...did(1, 1, 2), ...noted(1, 2), ...did(2, 2, 3)],
    { faults: ['partition p: 2 was repeated, from before the checkpoint 2'] },
  ],
  ['left out', [...did(1, 1), ...did(2, 3)], { faults: ['partition p: 2 was left out'] }],
  ['out of order', [...did(1, 1, 3)], { faults: ['partition p: 3 came after 1'] }],
  ['twice in one lease', [...did(1, 1, 2, 2, 3)], { faults: ['partition p: 2 came after 2'] }],
  [
    'a checkpoint of what was not done',
    [...did(1, 1), ...noted(1, 3), ...did(1, 2, 3)],
    { faults: ['partition p: checkpoint 3 is ahead of the work'] },
  ],
  ['not to the end', did(1, 1, 2), { faults: ['partition p: ended at 2 of 3'] }],
])('the verdict on what was done: %s', (_, entries, verdict) => {
  expect(judge(entries, ['p'], 3)).toMatchObject(verdict);
});
