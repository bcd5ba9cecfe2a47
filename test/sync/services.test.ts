import {
  currentSyncManager,
  leadershipLock,
  SyncManager,
  setCurrentSyncManager,
  startService,
  stopService,
} from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import { expect, test } from 'vitest';

const nobody = expect.objectContaining({ code: 'no-current-manager' });

test('E4: the same options serve several managers, with a function that makes the backend', async () => {
  const store = new MemoryStore();
  let made = 0;
  const options = {
    name: 'svc',
    backend: () => {
      made += 1;
      return memory({ store });
    },
  };
  await using a = new SyncManager(options);
  await using b = new SyncManager(options);
  expect(made).toBe(2);
  await a.acquire('k');
  expect(await b.tryAcquire('k')).toBeUndefined();
});

test('E4: a backend that is given twice is refused, with what would be right', async () => {
  const backend = memory();
  await using _ = new SyncManager({ name: 'svc', backend });
  for (const twice of [backend, () => backend]) {
    expect(() => new SyncManager({ name: 'svc', backend: twice })).toThrow(
      expect.objectContaining({
        code: 'invalid-option',
        message:
          'option "backend" belongs to another manager already: give a function that makes one, as in "backend: () => memory()"',
      }),
    );
  }
});

test('E4: none is made for options that are refused, and what is made has to be a backend', () => {
  let made = 0;
  const backend = () => {
    made += 1;
    return memory();
  };
  expect(() => new SyncManager({ name: 'a/b', backend })).toThrow(/option "name"/);
  expect(() => new SyncManager({ name: 'svc', backend, handOff: { limit: -1 } })).toThrow(/handOff.limit/);
  expect(made).toBe(0);
  expect(() => new SyncManager({ name: 'svc', backend: (async () => memory()) as never })).toThrow(
    /option "backend" must be a backend .* or a function that makes one/,
  );
  const failing = () => {
    throw new Error('no such host');
  };
  expect(() => new SyncManager({ name: 'svc', backend: failing })).toThrow('no such host');
});

test('E4: the service that was there before is the current one again when a later one has stopped', async () => {
  const options = { backend: () => memory(), claimLeadership: false };
  const a = startService({ ...options, name: 'a' });
  const b = startService({ ...options, name: 'b' });
  const c = startService({ ...options, name: 'c', current: false });
  expect(currentSyncManager()).toBe(b);
  await stopService(c);
  expect(currentSyncManager()).toBe(b);
  await stopService(b);
  expect(leadershipLock()).toBe(a.leadershipLock());
  // In another order, and stopped by itself.
  const d = startService({ ...options, name: 'd' });
  await a.stop();
  expect(currentSyncManager()).toBe(d);
  await stopService(d);
  expect(() => leadershipLock()).toThrow(nobody);
});

test('E4: one that was set by hand comes first, and taking it away brings the service back', async () => {
  const service = startService({ name: 'a', backend: memory(), claimLeadership: false });
  await using chosen = new SyncManager({ name: 'b', backend: memory() });
  expect(setCurrentSyncManager(chosen)).toBe(service);
  expect(currentSyncManager()).toBe(chosen);
  expect(setCurrentSyncManager(undefined)).toBe(chosen);
  expect(currentSyncManager()).toBe(service);
  setCurrentSyncManager(service);
  await stopService(service);
  expect(() => currentSyncManager()).toThrow(nobody);
});

test('E4: it is there until the work of the leader has ended', async () => {
  const service = startService({ name: 'a', backend: memory() });
  const told: unknown[] = [];
  service.leadership.whileLeader(async ({ signal, grant }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    const { ok } = await currentSyncManager().commit({
      when: [grant.isOwner],
      then: [{ put: 'position', value: '7' }],
    });
    told.push(ok);
  });
  await service.leadershipLock().lock();
  await stopService(service);
  expect(told).toEqual([true]);
  expect(() => currentSyncManager()).toThrow(nobody);
});
