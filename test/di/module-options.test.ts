import 'reflect-metadata';
import { type Leadership, type Lock, type Logger, leadershipLock, SyncManager } from 'holdfast';
import {
  injectLock,
  LEADERSHIP,
  LEADERSHIP_LOCK,
  SYNC_BACKEND,
  SYNC_CLOCK,
  SYNC_LOGGER,
  syncModule,
} from 'holdfast/di';
import { MemoryStore, memory } from 'holdfast/memory';
import { VirtualClock } from 'holdfast/testing';
import { Container, inject, injectable, named } from 'inversify';
import { expect, test } from 'vitest';

/** As its author would write it, wherever its locks are kept. */
@injectable()
class Reports {
  readonly losses: string[] = [];
  @injectLock('reports/weekly') readonly weekly!: Lock;

  constructor(
    @inject(SyncManager) readonly sync: SyncManager,
    @inject(LEADERSHIP) readonly leadership: Leadership,
    @injectLock('reports/daily') readonly daily: Lock,
  ) {
    daily.lost$.subscribe(({ key, reason }) => this.losses.push(`${key}: ${reason}`));
  }
}

@injectable()
class Audited {
  constructor(
    @inject(SyncManager) readonly main: SyncManager,
    @inject(SyncManager) @named('audit') readonly audit: SyncManager,
    @inject(LEADERSHIP_LOCK) @named('audit') readonly leadership: Lock,
    @injectLock('trail', { manager: 'audit' }) readonly trail: Lock,
  ) {}
}

const nothing = (store: MemoryStore): boolean => store.records().length + store.sessions().length === 0;

test('a service: injected manager and locks, leadershipLock().tryLock(), and the stream of losses', async () => {
  const store = new MemoryStore();
  const container = new Container();
  container.load(syncModule({ name: 'billing', backend: memory({ store }) }));
  container.bind(Reports).toSelf().inSingletonScope();
  const reports = container.get(Reports);

  expect(reports.daily).toBe(reports.sync.lock('reports/daily'));
  expect(reports.weekly).toBe(reports.sync.lock('reports/weekly'));
  expect(reports.leadership).toBe(reports.sync.leadership);
  expect((await leadershipLock().tryLock())?.held).toBe(true);
  const { isOwner } = await reports.daily.lock();
  await new Promise((resolve) => setTimeout(resolve, 150));
  store.commit({ when: [], then: [{ remove: isOwner.key }] });
  await reports.daily.lock();
  await expect.poll(() => reports.losses).toEqual(['reports/daily: record-gone']);
  await container.unbindAllAsync();
  expect(nothing(store)).toBe(true);
});

test('a test replaces backend, clock and logger in a line each, whatever the options say', async () => {
  const lines: string[] = [];
  const log = (message: string): void => void lines.push(message);
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const clock = new VirtualClock();
  const store = new MemoryStore({ clock });
  const unused = memory();
  const container = new Container();
  container.load(syncModule({ name: 'billing', backend: unused, claimLeadership: false }));
  container.bind(SYNC_BACKEND).toConstantValue(memory({ store }));
  container.bind(SYNC_CLOCK).toConstantValue(clock);
  container.bind(SYNC_LOGGER).toConstantValue(logger);
  const sync = container.get(SyncManager);
  const grant = sync.acquire('k');
  await clock.advance(10);
  expect((await grant).held).toBe(true);
  expect(store.records()).toHaveLength(1);
  expect(lines.some((line) => line.includes('holds the lock "k"'))).toBe(true);
  await container.unbindAllAsync();
  await unused[Symbol.asyncDispose]();
});

test('options may be made from the container, by a promise too', async () => {
  const store = new MemoryStore();
  const name = Symbol('name');
  const container = new Container();
  container.bind<string>(name).toConstantValue('billing');
  const sync = syncModule((context) => ({ name: context.get<string>(name), backend: memory({ store }) }));
  container.load(sync);
  expect(container.get(LEADERSHIP_LOCK).key).toBe('service/billing/leadership');
  await container.unloadAsync(sync);

  const later = syncModule(async (context) => {
    await Promise.resolve();
    return { name: `${context.get<string>(name)}-later`, backend: memory({ store }) };
  });
  container.load(later);
  container.bind(Reports).toSelf();
  const reports = await container.getAsync(Reports);
  expect(reports.sync.name).toBe('billing-later');
  expect(await reports.leadership.lock.lock()).toMatchObject({ held: true });
  await container.unbindAllAsync();
  expect(nothing(store)).toBe(true);
});

test('two managers with two backends in one container; only the unnamed one is current', async () => {
  const [store, other] = [new MemoryStore(), new MemoryStore({ contention: 'race' })];
  const container = new Container();
  container.load(
    syncModule({ name: 'billing', backend: memory({ store }) }),
    syncModule({ name: 'billing', backend: memory({ store: other }) }, { named: 'audit' }),
  );
  container.bind(Audited).toSelf();
  const audited = container.get(Audited);
  expect(audited.main).not.toBe(audited.audit);
  expect(audited.trail).toBe(audited.audit.lock('trail'));
  expect(audited.leadership).toBe(audited.audit.leadershipLock());
  expect(leadershipLock()).toBe(audited.main.leadershipLock());
  await audited.trail.lock();
  expect(other.records().map(({ key }) => key)).toContain('trail');
  await container.unbindAllAsync();
  expect([nothing(store), nothing(other)]).toEqual([true, true]);
});

test('a child container shares the manager of its parent, or has one of its own', async () => {
  const [store, other] = [new MemoryStore(), new MemoryStore()];
  const parent = new Container();
  parent.load(syncModule({ name: 'billing', backend: memory({ store }) }));
  const child = new Container({ parent });
  child.bind(Reports).toSelf();
  expect(child.get(Reports).sync).toBe(parent.get(SyncManager));
  const separate = new Container({ parent });
  separate.load(syncModule({ name: 'apart', backend: memory({ store: other }) }));
  expect(separate.get(SyncManager).name).toBe('apart');
  await separate.unbindAllAsync();
  expect(nothing(other)).toBe(true);
  expect(parent.get(SyncManager).lock('k').held).toBe(false);
  await parent.unbindAllAsync();
  expect(nothing(store)).toBe(true);
});

test('a container that fails half-way leaves nothing running', async () => {
  const store = new MemoryStore();
  const container = new Container();
  container.load(syncModule({ name: 'billing', backend: memory({ store }) }));
  const broken = Symbol('broken');
  container.bind(broken).toResolvedValue(
    (sync: SyncManager) => {
      throw new Error(`no config for ${sync.name}`);
    },
    [SyncManager],
  );
  expect(() => container.get(broken)).toThrow('no config for billing');
  await container.unbindAllAsync();
  expect(nothing(store)).toBe(true);
  expect(() => leadershipLock()).toThrow(expect.objectContaining({ code: 'no-current-manager' }));

  const wrong = new Container();
  wrong.load(syncModule({ name: 'a/b', backend: memory({ store }) }));
  expect(() => wrong.get(SyncManager)).toThrow(/option "name"/);
  wrong.load(syncModule({ name: 'no-backend' }, { named: 'x' }));
  expect(() => wrong.get(SyncManager, { name: 'x' })).toThrow(/SYNC_BACKEND is not bound/);
  expect(() => leadershipLock()).toThrow(expect.objectContaining({ code: 'no-current-manager' }));
  await wrong.unbindAllAsync();
  expect(nothing(store)).toBe(true);
});
