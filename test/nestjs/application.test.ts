import 'reflect-metadata';
import {
  ConsoleLogger,
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  Logger as NestLogger,
  type Type,
} from '@nestjs/common';
import { LazyModuleLoader, NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  currentSyncManager,
  type Leadership,
  type Lock,
  leadershipLock,
  lockWithKey,
  SyncManager,
} from 'holdfast';
import { MemoryStore, memory } from 'holdfast/memory';
import {
  InjectLeadership,
  InjectLeadershipLock,
  InjectLock,
  InjectSyncManager,
  lockToken,
  namedToken,
  SYNC_BACKEND,
  SYNC_CLOCK,
  SYNC_LOGGER,
  SyncModule,
  WithLock,
} from 'holdfast/nestjs';
import { VirtualClock } from 'holdfast/testing';
import { expect, test } from 'vitest';

const quiet = { logger: false, abortOnError: false } as const;
const nobody = expect.objectContaining({ code: 'no-current-manager' });

@Injectable()
class Orders {
  @WithLock((id: string) => `orders/${id}`)
  async pay(id: string): Promise<string> {
    return id;
  }
}

function app(imports: (DynamicModule | Type)[], providers: Type[] = [Orders]): Type {
  @Module({ imports, providers })
  class AppModule {}
  return AppModule;
}

const start = (imports: (DynamicModule | Type)[], providers?: Type[]) =>
  NestFactory.createApplicationContext(app(imports, providers), quiet);

test('E7: a manager that a test puts in place is the current one, for decorators too', async () => {
  const store = new MemoryStore();
  const sync = new SyncManager({ name: 'test', backend: memory({ store }) });
  const module = app([SyncModule.forRoot({ name: 'svc', backend: memory() })]);
  const testing = await Test.createTestingModule({ imports: [module] })
    .overrideProvider(SyncManager)
    .useValue(sync)
    .compile();
  await testing.init();
  expect(currentSyncManager()).toBe(sync);
  expect(await testing.get(Orders).pay('7')).toBe('7');
  expect(store.commits).toBe(2);
  await testing.close();
  expect(() => currentSyncManager()).toThrow(nobody);
  await expect(sync.acquire('k')).rejects.toMatchObject({ code: 'stopped' });
});

test('E7: what is no manager can be put in its place', async () => {
  const asked: string[] = [];
  const fake = {
    leadership: {},
    leadershipLock: () => ({}),
    withLock: async (key: string, work: (grant: unknown) => unknown) => {
      asked.push(key);
      return work({});
    },
  };
  const testing = await Test.createTestingModule({
    imports: [app([SyncModule.forRoot({ name: 'svc', backend: memory() })])],
  })
    .overrideProvider(SyncManager)
    .useValue(fake)
    .compile();
  await testing.init();
  expect(await testing.get(Orders).pay('7')).toBe('7');
  expect(asked).toEqual(['orders/7']);
  await testing.close();
  expect(() => currentSyncManager()).toThrow(nobody);
});

test('E7: backend, clock and logger can be overridden by their tokens, the backend by a function, too', async () => {
  const clock = new VirtualClock();
  const store = new MemoryStore({ clock });
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  let asked = 0;
  const options = {
    name: 'svc',
    backend: () => {
      asked += 1;
      return memory();
    },
    claimLeadership: false,
  };
  const testing = await Test.createTestingModule({ imports: [app([SyncModule.forRoot(options)])] })
    .overrideProvider(SYNC_BACKEND)
    .useValue(() => memory({ store }))
    .overrideProvider(SYNC_CLOCK)
    .useValue(clock)
    .overrideProvider(SYNC_LOGGER)
    .useValue({ debug: log, info: log, warn: log, error: log })
    .compile();
  await testing.init();
  let paid: string | undefined;
  testing
    .get(Orders)
    .pay('7')
    .then((id) => {
      paid = id;
    });
  await clock.runUntil(() => paid !== undefined);
  expect([asked, store.commits]).toEqual([0, 2]);
  expect(lines.some((line) => line.startsWith('svc: holds the lock "orders/7"'))).toBe(true);
  let closed = false;
  testing.close().then(() => {
    closed = true;
  });
  await clock.runUntil(() => closed);
});

test('E7: the log is that of Nest by default, one of its kind can be given, and none', async () => {
  const lines: string[] = [];
  class Recording extends ConsoleLogger {
    override log(message: string, context?: string): void {
      lines.push(`${context}: ${message}`);
    }
  }
  const context = (logger?: NestLogger | false) =>
    NestFactory.createApplicationContext(
      app([SyncModule.forRoot({ name: 'svc', backend: memory(), ...(logger !== undefined && { logger }) })]),
      { logger: new Recording(), abortOnError: false },
    );
  const byDefault = await context();
  await leadershipLock().lock();
  await byDefault.close();
  expect(lines.some((line) => /^holdfast: svc: session .* is live$/.test(line))).toBe(true);
  lines.length = 0;
  const given = await context(new NestLogger('locks'));
  await leadershipLock().lock();
  await given.close();
  expect(lines.some((line) => /^locks: svc: session .* is live$/.test(line))).toBe(true);
  lines.length = 0;
  const none = await context(false);
  await leadershipLock().lock();
  await none.close();
  expect(lines.filter((line) => line.includes('svc:'))).toEqual([]);
});

test('E7: a class that is defined after forRoot() has its lock', async () => {
  const module = SyncModule.forRoot({ name: 'svc', backend: memory() });
  @Injectable()
  class Late {
    constructor(@InjectLock('late/one') readonly lock: Lock) {}
  }
  const context = await start([module], [Late]);
  expect(context.get(Late).lock).toBe(lockWithKey('late/one'));
  await context.close();
});

test('E7: a class that is loaded later asks for its lock with forFeature()', async () => {
  const context = await start([SyncModule.forRoot({ name: 'svc', backend: memory() })]);
  @Injectable()
  class Lazy {
    constructor(@InjectLock('lazy/one') readonly lock: Lock) {}
  }
  @Module({ imports: [SyncModule.forFeature(['lazy/one'])], providers: [Lazy] })
  class LazyModule {}
  const loaded = await context.get(LazyModuleLoader).load(() => LazyModule);
  expect(loaded.get(Lazy).lock).toBe(lockWithKey('lazy/one'));
  await context.close();
});

test('E7: two managers, of which one has a name', async () => {
  const [store, trail] = [new MemoryStore(), new MemoryStore()];
  @Injectable()
  class Both {
    constructor(
      @Inject(SyncManager) readonly sync: SyncManager,
      @InjectSyncManager('audit') readonly audit: SyncManager,
      @InjectLeadership('audit') readonly leadership: Leadership,
      @InjectLeadershipLock('audit') readonly leadershipLock: Lock,
      @InjectLock('k') readonly mine: Lock,
      @InjectLock('k', { manager: 'audit' }) readonly theirs: Lock,
    ) {}
  }
  const context = await start(
    [
      SyncModule.forRoot({ name: 'billing', backend: memory({ store }) }),
      SyncModule.forRootAsync({
        named: 'audit',
        useFactory: () => ({ name: 'audit', backend: memory({ store: trail }) }),
      }),
    ],
    [Both],
  );
  const both = context.get(Both);
  expect([both.sync.name, both.audit.name]).toEqual(['billing', 'audit']);
  expect(currentSyncManager()).toBe(both.sync);
  expect(both.leadership).toBe(both.audit.leadership);
  expect(both.leadershipLock).toBe(both.audit.leadershipLock());
  expect([both.mine, both.theirs]).toEqual([both.sync.lock('k'), both.audit.lock('k')]);
  expect(context.get(namedToken(SyncManager, 'audit'))).toBe(both.audit);
  expect(context.get(lockToken('k', { manager: 'audit' }))).toBe(both.theirs);
  await both.theirs.lock();
  await context.close();
  for (const each of [both.sync, both.audit]) {
    await expect(each.acquire('k')).rejects.toMatchObject({ code: 'stopped' });
  }
  expect([store, trail].flatMap((each) => [...each.records(), ...each.sessions()])).toEqual([]);
});

test('E4: the same options make two applications, and the first is current again when the second has closed', async () => {
  const options = { name: 'svc', backend: () => memory() };
  const [a, b] = [await start([SyncModule.forRoot(options)]), await start([SyncModule.forRoot(options)])];
  expect(currentSyncManager()).toBe(b.get(SyncManager));
  await b.close();
  expect(currentSyncManager()).toBe(a.get(SyncManager));
  await a.close();
  expect(() => currentSyncManager()).toThrow(nobody);
});

test('E7: an unknown setting is refused by name', () => {
  const options = { name: 'svc', backend: memory() };
  expect(() => SyncModule.forRoot(options, { name: 'audit' } as never)).toThrow(
    /option "name" is unknown.*"named"/,
  );
  expect(() => SyncModule.forRootAsync({ useFactory: () => options, importz: [] } as never)).toThrow(
    /option "importz" is unknown: did you mean "imports"/,
  );
  expect(() => SyncModule.forFeature(['k'], { named: 'audit' } as never)).toThrow(
    /option "named" is unknown/,
  );
});
