import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Logger, SyncError, SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import pino from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { until } from '../scenarios/world.ts';
import { faulty, isOwnedPut, settle, setUp } from './faulty.ts';

const REFUSED = { outcome: 'refused' } as const;

function recorder() {
  const lines: string[] = [];
  const at = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { lines, logger };
}

test('each loss is logged once, with key, token and reason', async () => {
  const { lines, logger } = recorder();
  const store = new MemoryStore();
  await using sync = new SyncManager({ name: 'svc', backend: memory({ store }), logger });
  const lock = sync.lock('k');
  lock.lost$.subscribe();
  lock.lost$.subscribe();
  const { token, isOwner } = await lock.lock();
  await new Promise((resolve) => setTimeout(resolve, 150));
  store.commit({ when: [], then: [{ remove: isOwner.key }] });
  await until(() => lock.grant !== undefined && lock.grant.token > token);
  expect(lines.filter((line) => line.startsWith('warn'))).toEqual([
    `warn svc: lost the lock "k", token ${token}: record-gone`,
  ]);
  expect(lines).toContain(`debug svc: holds the lock "k", token ${token}`);
  expect(lines.some((line) => /^info svc: session \S+ is live$/.test(line))).toBe(true);
});

test('what is tried again is logged when it is another failure, and again after it came right', async () => {
  const { lines, logger } = recorder();
  const { clock, store } = setUp('queue');
  let down = true;
  const backend = faulty(memory({ store }), (_, pass) =>
    down ? Promise.reject(new SyncError('unavailable', 'no server')) : pass(),
  );
  const session = { ttl: 10_000, lockDelay: 0 };
  const sync = new SyncManager({ name: 'svc', backend, clock, session, logger });
  void sync.lock('k').tryLock();
  await clock.advance(5_000);
  const troubles = () => lines.filter((line) => line.includes('no server'));
  expect(troubles()).toHaveLength(1);
  down = false;
  await clock.advance(5_000);
  down = true;
  await clock.advance(5_000);
  expect(troubles()).toHaveLength(2);
  await clock.advance(20_000);
  expect(lines.filter((line) => line.startsWith('warn svc: lost'))).toHaveLength(1);
  down = false;
  const stopped = sync.stop();
  await clock.advance(10_000);
  await stopped;
});

test.each(['queue', 'race'] as const)(
  'C3: two hundred locks that are refused in as many words are told once, and once a minute (%s)',
  async (contention) => {
    const { lines, logger } = recorder();
    const { clock, make } = setUp(contention);
    const sync = make(
      (request, pass) =>
        isOwnedPut(request)
          ? Promise.reject(new SyncError('permission-denied', `no right, request ${Math.random()}`, REFUSED))
          : pass(),
      { logger },
    );
    const keys = new Set<string | undefined>();
    sync.events$.subscribe((event) => event.type === 'trouble' && keys.add(event.key));
    for (let n = 0; n < 200; n++)
      sync
        .lock(`k${n}`)
        .tryLock()
        .catch(() => undefined);
    await clock.advance(180_000);
    const told = lines.filter((line) => line.includes('no right'));
    expect(told).toHaveLength(3);
    expect(told[0]).toMatch(/^warn svc: lock "k0": trying again after SyncError: no right, request \S+$/);
    expect(told[1]).toMatch(/\(\d+ more of this kind since, of 200 locks\)$/);
    expect(keys.size).toBe(200);
    await settle(clock, sync.stop());
  },
);

describe('B7: without a logger', () => {
  const spied = () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    onTestFinished(() => warned.mockRestore());
    return { told: () => warned.mock.calls.map(([message, type]) => `${String(type)}: ${String(message)}`) };
  };

  test('trouble that lasts is told once, with its hint, and not what passes', async () => {
    const { told } = spied();
    const { clock, make } = setUp('queue');
    let down = true;
    const hint = 'cannot reach the server; is it running?';
    const sync = make((_, pass) => (down ? Promise.reject(new SyncError('unavailable', hint)) : pass()));
    void sync.lock('k').tryLock();
    await clock.advance(3_000);
    down = false;
    await clock.advance(5_000);
    expect(told()).toEqual([]);
    down = true;
    await clock.advance(100_000);
    expect(told()).toEqual([
      expect.stringMatching(
        /^SyncWarning: svc: for \d s the store cannot be used, .*tried again: cannot reach/,
      ),
      'SyncWarning: svc: lost the lock "k": deadline',
    ]);
    await clock.advance(600_000);
    expect(told()).toHaveLength(3);
    await settle(clock, sync.stop());
  });

  test('each loss is told, and of a thousand at once ten, with how many more they are', async () => {
    const { told } = spied();
    const { clock, store, make } = setUp('queue');
    const sync = make();
    await settle(clock, Promise.all(Array.from({ length: 1_000 }, (_, n) => sync.acquire(`k${n}`))));
    store.destroySession(store.sessions()[0]?.id ?? '');
    await clock.advance(5_000);
    expect(told()).toHaveLength(11);
    expect(told()[0]).toMatch(/^SyncWarning: svc: lost the lock "k0": /);
    expect(told()[10]).toBe('SyncWarning: svc: and 990 more locks with them');
    await settle(clock, sync.stop());
  });

  test('whoever listens to the losses of a lock, or to everything, is not warned', async () => {
    const { told } = spied();
    const { clock, store, make } = setUp('queue');
    const [sync, other] = [make(), make()];
    const losses: string[] = [];
    sync.lock('heard').lost$.subscribe(({ key }) => losses.push(key));
    other.events$.subscribe(({ type }) => type === 'lock-lost' && losses.push(type));
    await settle(
      clock,
      Promise.all([sync.lock('heard').lock(), sync.lock('unheard').lock(), other.acquire('k')]),
    );
    for (const { id } of store.sessions()) store.destroySession(id);
    await clock.advance(20_000);
    expect(losses.toSorted()).toEqual(['heard', 'lock-lost']);
    expect(told()).toEqual([expect.stringContaining('lost the lock "unheard"')]);
    await settle(clock, Promise.all([sync.stop(), other.stop()]));
  });

  test('a lock that is refused for good is named', async () => {
    const { told } = spied();
    const { clock, make } = setUp('queue');
    const sync = make((request, pass) =>
      isOwnedPut(request) ? Promise.reject(new SyncError('permission-denied', 'no right', REFUSED)) : pass(),
    );
    await expect(settle(clock, sync.lock('k').tryLock())).rejects.toMatchObject({
      code: 'permission-denied',
    });
    await clock.advance(20_000);
    expect(told()).toEqual([
      expect.stringMatching(/svc: for \d s the lock "k" cannot be had, .*: no right$/),
    ]);
    await settle(clock, sync.stop());
  });

  test('NODE_DEBUG=holdfast shows all of it, and without it a process prints nothing', async () => {
    const program = `
      import { SyncManager } from './src/index.ts';
      import { memory } from './src/backends/memory/index.ts';
      const sync = new SyncManager({ name: 'svc', backend: memory() });
      await sync.withLock('k', () => undefined);
      await sync.stop();`;
    const run = (debug: string) =>
      spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
        env: { ...process.env, NODE_DEBUG: debug },
        encoding: 'utf8',
      });
    expect(run('').stderr).toBe('');
    expect(run('holdfast').stderr).toMatch(/HOLDFAST \d+: debug svc: holds the lock "k", token \d+/);
  });
});

test('a logger that throws harms nobody', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const fail = (): never => {
    throw new Error('the log is full');
  };
  const logger = { debug: fail, info: fail, warn: fail, error: fail };
  await using sync = new SyncManager({ name: 'svc', backend: memory(), logger });
  await sync.withLock('k', ({ held }) => expect(held).toBe(true));
  expect(warned).toHaveBeenCalled();
  warned.mockRestore();
});

test('a logger that lacks a level is refused by name', () => {
  const logger = { debug() {}, info() {}, warn() {} } as unknown as Logger;
  expect(() => new SyncManager({ name: 'svc', backend: memory(), logger })).toThrow(
    expect.objectContaining({ code: 'invalid-option', message: expect.stringContaining('"logger"') }),
  );
});

test('pino is a logger as it is, with its levels', async () => {
  const lines: { level: number; msg: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const logger: Logger = pino({ level: 'debug' }, destination);
  const sync = new SyncManager({ name: 'svc', backend: memory(), logger });
  await sync.withLock('k', () => undefined);
  await sync.stop();
  const { debug, info } = pino.levels.values;
  expect(
    lines.map(({ level, msg }) => [level, msg.replace(/session \S+ (is|was)/, 'session ID $1')]),
  ).toEqual([
    [debug, 'svc: session opening'],
    [info, 'svc: session ID is live'],
    [debug, expect.stringMatching(/^svc: holds the lock "k", token \d+$/)],
    [debug, expect.stringMatching(/^svc: released the lock "k", token \d+$/)],
    [info, 'svc: session ID was closed'],
    [debug, 'svc: session stopped'],
  ]);
});

test('the console is a logger as it is', async () => {
  const info = vi.spyOn(console, 'info').mockImplementation(() => {});
  vi.spyOn(console, 'debug').mockImplementation(() => {});
  const sync = new SyncManager({ name: 'svc', backend: memory(), logger: console });
  await sync.withLock('k', () => undefined);
  await sync.stop();
  const told = [/^svc: session \S+ is live$/, /^svc: session \S+ was closed$/];
  expect(info.mock.calls).toEqual(told.map((line) => [expect.stringMatching(line)]));
  vi.restoreAllMocks();
});
