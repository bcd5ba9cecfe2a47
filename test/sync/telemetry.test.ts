import { type ManagerTelemetry, type Outcome, SyncManager, type Telemetry } from 'holdfast';
import { memory } from 'holdfast/memory';
import { expect, test, vi } from 'vitest';

/** Writes down what it is told. */
function recorder(): { told: string[]; telemetry: Telemetry } {
  const told: string[] = [];
  const how = (outcome: Outcome): string => {
    if ('error' in outcome) return (outcome.error as Error).message;
    return outcome.grant === undefined ? 'occupied' : 'held';
  };
  const manager: ManagerTelemetry = {
    asking(key, call) {
      told.push(`${call} ${key}`);
      return (outcome) => void told.push(`${call} ${key}: ${how(outcome)}`);
    },
    holding(grant, work) {
      told.push(`work ${grant.key}`);
      return work();
    },
  };
  return { told, telemetry: { observe: () => manager } };
}

test('each call is told once when it begins, in the caller’s turn, and once when it ends', async () => {
  const { told, telemetry } = recorder();
  await using sync = new SyncManager({ name: 'svc', backend: memory(), telemetry });
  const working = sync.withLock('a', () => 1);
  expect(told).toEqual(['acquire a']);
  expect(await working).toBe(1);
  await sync.lock('b').lock();
  await sync.lock('b').tryLock();
  expect(await sync.tryAcquire('b')).toBeUndefined();
  await expect(sync.acquire('b', { timeout: 5 })).rejects.toThrow();
  expect(told).toEqual([
    'acquire a',
    'acquire a: held',
    'work a',
    'lock b',
    'lock b: held',
    'tryLock b',
    'tryLock b: held',
    'tryAcquire b',
    'tryAcquire b: occupied',
    'acquire b',
    'acquire b: the lock "b" was not acquired within 5 ms',
  ]);
});

test('a call that is refused before any I/O was never begun', async () => {
  const { told, telemetry } = recorder();
  await using sync = new SyncManager({ name: 'svc', backend: memory(), telemetry });
  await expect(sync.acquire('')).rejects.toMatchObject({ code: 'invalid-key' });
  await expect(sync.acquire('k', { timeout: -1 })).rejects.toMatchObject({ code: 'invalid-option' });
  await expect(sync.acquire('k', { signal: AbortSignal.abort() })).rejects.toThrow();
  expect(told).toEqual([]);
});

test.each(['asking', 'told'])('telemetry that throws when %s harms no call', async (when) => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const fail = (): never => {
    throw new Error('a mistake in telemetry');
  };
  const manager: ManagerTelemetry = {
    asking: () => (when === 'asking' ? fail() : fail),
    holding: (_, work) => work(),
  };
  const sync = new SyncManager({ name: 'svc', backend: memory(), telemetry: { observe: () => manager } });
  expect(await sync.withLock('a', () => 'done')).toBe('done');
  await expect(sync.lock('b').lock()).resolves.toMatchObject({ held: true });
  await expect(sync.acquire('b', { timeout: 5 })).rejects.toMatchObject({ code: 'timeout' });
  await sync.stop();
  expect(warned.mock.calls.map(([warning]) => String(warning))).toEqual(
    Array(3).fill('Error: a mistake in telemetry'),
  );
  warned.mockRestore();
});
