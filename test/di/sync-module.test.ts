import 'reflect-metadata';
import { isSyncError, type Lock, leadershipLock, lockWithKey, SyncManager } from 'holdfast';
import { LEADERSHIP_LOCK, SYNC_BACKEND, syncModule } from 'holdfast/di';
import { MemoryStore, memory } from 'holdfast/memory';
import { Container, inject, injectable } from 'inversify';
import { firstValueFrom } from 'rxjs';
import { filter } from 'rxjs/operators';
import { expect, test } from 'vitest';

@injectable()
class Reports {
  constructor(
    @inject(SyncManager) readonly sync: SyncManager,
    @inject(LEADERSHIP_LOCK) readonly leadership: Lock,
  ) {}
}

test('binds manager and leadership lock as singletons, claims leadership, and stops everything', async () => {
  const store = new MemoryStore();
  const module = syncModule({ name: 'billing', backend: memory({ store }) });
  const container = new Container();
  container.load(module);
  container.bind(Reports).toSelf();

  expect(() => leadershipLock()).toThrow(/before there was a current SyncManager/);

  const reports = container.get(Reports);
  expect(container.get(SyncManager)).toBe(reports.sync);
  expect(container.get(LEADERSHIP_LOCK)).toBe(reports.leadership);
  expect(leadershipLock()).toBe(reports.leadership);
  expect(lockWithKey('reports/daily')).toBe(reports.sync.lock('reports/daily'));
  expect(reports.leadership.key).toBe('service/billing/leadership');

  // Nobody called lock(): the claim was started by the activation.
  await firstValueFrom(reports.leadership.state$.pipe(filter(({ name }) => name === 'held')));
  expect(await leadershipLock().tryLock()).toBeDefined();

  await container.unloadAsync(module);
  expect(store.records()).toEqual([]);
  expect(store.sessions()).toEqual([]);
  await expect(reports.leadership.tryLock()).rejects.toSatisfy((error) => isSyncError(error, 'stopped'));
  expect(() => leadershipLock()).toThrow(expect.objectContaining({ code: 'no-current-manager' }));
});

test('claims nothing when told not to', async () => {
  const store = new MemoryStore();
  const container = new Container();
  container.load(syncModule({ name: 'billing', backend: memory({ store }), claimLeadership: false }));
  const leadership = container.get(LEADERSHIP_LOCK);
  await using rival = new SyncManager({ name: 'billing', backend: memory({ store }) });
  expect(await rival.leadershipLock().tryLock()).toBeDefined();
  expect(leadership.held).toBe(false);
  expect(store.sessions()).toHaveLength(1);
  await container.unbindAllAsync();
});

test('E4: one module serves several containers, and the first one is current again when a later one was unbound', async () => {
  const store = new MemoryStore();
  const module = syncModule({ name: 'billing', backend: () => memory({ store }), claimLeadership: false });
  const containers = [new Container(), new Container()];
  const [a, b] = containers.map((container) => {
    container.load(module);
    return container.get(SyncManager);
  });
  expect(a).not.toBe(b);
  expect(leadershipLock()).toBe(b?.leadershipLock());
  await containers[1]?.unbindAllAsync();
  expect(leadershipLock()).toBe(a?.leadershipLock());
  await containers[0]?.unbindAllAsync();
  expect(() => leadershipLock()).toThrow(expect.objectContaining({ code: 'no-current-manager' }));
});

test('E4: a function that makes the backend can be bound, too', async () => {
  const store = new MemoryStore();
  const container = new Container();
  container.load(syncModule({ name: 'billing', claimLeadership: false }));
  container.bind(SYNC_BACKEND).toConstantValue(() => memory({ store }));
  await container.get(SyncManager).acquire('k');
  expect(store.sessions()).toHaveLength(1);
  await container.unbindAllAsync();
});
