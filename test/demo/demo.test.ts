import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { reservePorts } from '../servers/ports.ts';
import { postgresUrl } from '../servers/postgres.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';

const main = fileURLToPath(new URL('../../examples/demo/main.ts', import.meta.url));
const demo = (...args: string[]) =>
  run(process.execPath, ['--unhandled-rejections=strict', program(main), ...args], {
    timeout: 140_000,
  });

// One after the other: each starts three processes, which takes a busy machine long enough as it is.
test.each([
  ['memory', 'cut off from the store'],
  ['etcd', 'SIGKILL'],
  ['consul', 'SIGKILL'],
  ['postgres', 'SIGKILL'],
])(
  'on %s the leader disappears, another takes over, nothing is lost, and it ends by itself',
  { timeout: 150_000 },
  async (store, how) => {
    const { code, stdout, stderr } = await demo('--backend', store);
    expect([code, stderr], stdout).toEqual([0, '']);
    expect(stdout).toContain(how);
    expect(stdout.match(/leads, token \d+/g)?.length).toBeGreaterThanOrEqual(3);
    expect(stdout).toMatch(/was told of the loss/);
    expect(stdout).toMatch(/ok {4}counter (\d+) = \1 increments/);
    expect(stdout.match(/^.* ok {4}/gm)).toHaveLength(4);
    expect(stdout.trimEnd()).toMatch(/nothing was lost$/);
  },
);

test.concurrent.each(['etcd', 'consul', 'postgres'])(
  'on %s without a server it ends in one readable sentence',
  async (store) => {
    const { ports, release } = await reservePorts(2);
    try {
      const at = `127.0.0.1:${ports[1]}`;
      const address = store === 'postgres' ? postgresUrl(at) : at;
      const { code, stdout, stderr } = await demo('--backend', store, '--address', address);
      expect([code, stderr]).toEqual([2, '']);
      expect(stdout).toMatch(new RegExp(`cannot go on: .*127.0.0.1:${ports[1]}`));
      expect(stdout.trim().split('\n')).toHaveLength(1);
    } finally {
      release();
    }
  },
);

test.concurrent('an address without a server to go with is refused', async () => {
  const { code, stderr } = await demo('--address', '127.0.0.1:1');
  expect([code, stderr]).toEqual([1, '--address goes with etcd, consul or postgres\n']);
});
