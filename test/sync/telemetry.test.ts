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

test.each(['asking', 'told', 'holding', 'held'])(
  'telemetry that throws when %s harms no call',
  async (when) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const fail = (): never => {
      throw new Error('a mistake in telemetry');
    };
    const manager: ManagerTelemetry = {
      asking: () => {
        if (when === 'asking') fail();
        return () => (when === 'told' ? fail() : undefined);
      },
      holding: (_, work) => {
        if (when === 'holding') fail();
        if (when === 'held') {
          void work();
          fail();
        }
        // A promise of its own, which nobody awaits.
        return work().finally(() => undefined);
      },
    };
    const sync = new SyncManager({ name: 'svc', backend: memory(), telemetry: { observe: () => manager } });
    let worked = 0;
    expect(await sync.withLock('a', () => `done ${++worked}`)).toBe('done 1');
    await expect(sync.lock('b').lock()).resolves.toMatchObject({ held: true });
    await expect(sync.acquire('b', { timeout: 5 })).rejects.toMatchObject({ code: 'timeout' });
    await sync.stop();
    expect(warned.mock.calls.map(([warning]) => String(warning))).toEqual(
      Array(when === 'asking' || when === 'told' ? 3 : 1).fill('Error: a mistake in telemetry'),
    );
    warned.mockRestore();
  },
);

test('work that fails is told to its caller, and to nobody else', async () => {
  const { telemetry } = recorder();
  const manager: ManagerTelemetry = {
    asking: () => () => {},
    holding: (_, work) => work().finally(() => {}),
  };
  await using plain = new SyncManager({ name: 'svc', backend: memory(), telemetry });
  await using derived = new SyncManager({
    name: 'svc',
    backend: memory(),
    telemetry: { observe: () => manager },
  });
  for (const sync of [plain, derived]) {
    const failing = sync.withLock('a', () => {
      throw new Error('the work failed');
    });
    await expect(failing).rejects.toThrow('the work failed');
  }
});

test('telemetry may ask for the health at once, and what it throws there harms nobody', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const seen: unknown[] = [];
  const telemetry: Telemetry = {
    observe: ({ health }) => {
      seen.push(health());
      throw new Error('a mistake in telemetry');
    },
  };
  await using sync = new SyncManager({ name: 'svc', backend: memory(), telemetry });
  expect(await sync.withLock('a', () => 'done')).toBe('done');
  expect(seen).toMatchObject([{ ready: false, session: 'idle' }]);
  expect(warned).toHaveBeenCalledOnce();
  warned.mockRestore();
});
