import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { installShutdown, SyncManager } from 'holdfast';
import { memory } from 'holdfast/memory';
import { expect, test } from 'vitest';
import { slowed } from '../busy.ts';
import { live, Managers, stateOf, uniqueKey } from '../scenarios/world.ts';
import { spawnChild } from '../servers/child.ts';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import { addressOf } from './site.ts';
import { connectTo, stores } from './stores.ts';

const fixture = fileURLToPath(new URL('./shutdown-fixture.ts', import.meta.url));
const NEXT_WITHIN = 200;

function leader(args: readonly string[], inside: readonly string[] = []) {
  const [command = '', ...rest] = [...inside, process.execPath, program(fixture), ...args];
  const child = spawnChild(command, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (child.stdout === null || child.stderr === null) throw new TypeError('a pipe was asked for');
  let errors = '';
  child.stderr.on('data', (data) => {
    errors += data;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const told = async (): Promise<string> => (await lines.next()).value;
  return { child, told, exited: once(child, 'close'), warned: () => errors };
}

test.concurrent.each(stores)(
  'SIGTERM of a leader on %s: the next one within 200 ms, nothing left, ended by the signal',
  async (store) => {
    const address = addressOf(store);
    const backend = () => connectTo(store, address);
    await using managers = new Managers({ name: store, ttl: 10_000, lockDelay: 0, backend });
    const name = uniqueKey('svc').replaceAll('/', '-');
    const { child, told, exited } = leader([store, address, name]);
    expect(await told()).toBe('leads');
    const candidate = managers.make({ name });
    const leads = candidate.leadershipLock().lock();
    await stateOf(candidate.leadershipLock(), 'waiting');
    const begun = performance.now();
    child.kill('SIGTERM');
    await leads;
    const took = performance.now() - begun;
    expect(took).toBeLessThan(slowed(NEXT_WITHIN));
    expect(await told()).toBe('before');
    expect(await exited).toEqual([null, 'SIGTERM']);
    await candidate.stop();
    const { records } = await managers.operator().query({ prefix: `service/${name}/` }, { signal: live });
    expect(records).toEqual([]);
    console.info(`${store}: next leader ${took.toFixed(0)} ms after SIGTERM`);
  },
);

test('whoever else listens to the signal decides how the process ends', async () => {
  const { child, told, exited } = leader(['etcd', addressOf('etcd'), 'listens-too', 'listens']);
  expect(await told()).toBe('leads');
  child.kill('SIGTERM');
  expect(await exited).toEqual([7, null]);
});

test('B6: a `before` that never ends does not keep the locks, and is told', async () => {
  const name = uniqueKey('hangs').replaceAll('/', '-');
  const backend = () => connectTo('etcd', addressOf('etcd'));
  await using managers = new Managers({ name: 'etcd', ttl: 10_000, lockDelay: 0, backend });
  const { child, told, exited, warned } = leader(['etcd', addressOf('etcd'), name, 'hangs']);
  expect(await told()).toBe('leads');
  const leads = managers.make({ name }).leadershipLock().lock();
  const begun = performance.now();
  child.kill('SIGTERM');
  await leads;
  expect(performance.now() - begun).toBeGreaterThan(295);
  expect(performance.now() - begun).toBeLessThan(300 + slowed(NEXT_WITHIN));
  expect(await exited).toEqual([null, 'SIGTERM']);
  expect(warned()).toMatch(/SyncShutdownWarning: `before` did not end within 300 ms/);
});

test.concurrent.each(stores)(
  'E2: of two shutdowns in one process on %s the last one ends it: nothing of either stays',
  async (store) => {
    const name = uniqueKey('twice').replaceAll('/', '-');
    const backend = () => connectTo(store, addressOf(store));
    await using managers = new Managers({ name: store, ttl: 10_000, lockDelay: 0, backend });
    const operator = managers.operator();
    const records = async () =>
      (await operator.query({ prefix: `service/${name}/` }, { signal: live })).records.length;
    const { child, told, exited } = leader([store, addressOf(store), name, 'twice']);
    expect(await told()).toBe('leads');
    expect(await records()).toBe(2);
    child.kill('SIGTERM');
    expect(await exited).toEqual([null, 'SIGTERM']);
    expect(await records()).toBe(0);
  },
);

/** What makes a command the first process of a PID name space, as a container does, where this user may do that. */
async function container(): Promise<readonly string[] | undefined> {
  for (const args of [[], ['--user', '--map-root-user']]) {
    const unshare = ['unshare', ...args, '--pid', '--fork', '--kill-child'];
    const [command = '', ...rest] = [...unshare, 'sh', '-c', 'echo $$'];
    const { stdout } = await run(command, rest).catch(() => ({ stdout: '' }));
    if (stdout === '1\n') return unshare;
  }
  return undefined;
}

test.each([
  ['one signal', '', 1],
  ['a second one, while `before` hangs', 'hangs-long', 2],
] as const)(
  'E11: as the first process of a container it ends by %s, with the code of the signal',
  async (_, how, signals) => {
    const name = uniqueKey('container').replaceAll('/', '-');
    const etcd = () => connectTo('etcd', addressOf('etcd'));
    await using managers = new Managers({ name: 'etcd', ttl: 10_000, lockDelay: 0, backend: etcd });
    const unshare = await container();
    // Without the right to make one: a process that takes itself for the first one, and whom no signal of its own ends.
    const { child, told, exited } =
      unshare === undefined
        ? leader(['etcd', addressOf('etcd'), name, how, 'as-first'])
        : leader(['etcd', addressOf('etcd'), name, how], unshare);
    expect(await told()).toBe('leads');
    const first = unshare === undefined ? child.pid : await onlyChildOf(child.pid);
    expect(first).toBeDefined();
    for (let sent = 0; sent < signals; sent++) {
      process.kill(first as number, 'SIGTERM');
      if (sent === 0) expect(await told()).toBe('before');
    }
    // `unshare` tells what became of its child.
    expect(await exited).toEqual([128 + constants.signals.SIGTERM, null]);
    if (signals > 1) return;
    const { records } = await managers.operator().query({ prefix: `service/${name}/` }, { signal: live });
    expect(records).toEqual([]);
  },
);

async function onlyChildOf(pid: number | undefined): Promise<number | undefined> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const [child] = children.trim().split(' ').map(Number);
  return child;
}

test('can be taken back, and refuses a bad timeout by name', async () => {
  await using sync = new SyncManager({ name: 'svc', backend: memory() });
  const before = process.listenerCount('SIGTERM');
  const uninstall = installShutdown(sync);
  expect(process.listenerCount('SIGTERM')).toBe(before + 1);
  uninstall();
  expect(process.listenerCount('SIGTERM')).toBe(before);
  expect(() => installShutdown([sync], { timeout: -1 })).toThrow(
    expect.objectContaining({ code: 'invalid-option', message: expect.stringContaining('"timeout"') }),
  );
  expect(process.listenerCount('SIGTERM')).toBe(before);
});
