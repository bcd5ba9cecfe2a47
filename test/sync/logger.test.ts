import { type Logger, SyncError, SyncManager } from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import pino from 'pino';
import { expect, test, vi } from 'vitest';
import { until } from '../scenarios/world.ts';
import { faulty, setUp } from './faulty.ts';

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
