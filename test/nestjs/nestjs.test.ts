import 'reflect-metadata';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { isSyncError, type Leadership, type Lock, leadershipLock, SyncManager } from 'holdfast';
import { etcd } from 'holdfast/etcd';
import { MemoryStore, memory } from 'holdfast/memory';
import {
  currentGrant,
  InjectLeadership,
  InjectLeadershipLock,
  InjectLock,
  LeaderOnly,
  SyncModule,
  WithLock,
} from 'holdfast/nestjs';
import { expect, inject, test } from 'vitest';
import { live, uniqueKey } from '../scenarios/world.ts';
import { spawnChild } from '../servers/child.ts';
import { program } from '../servers/program.ts';

const fixture = fileURLToPath(new URL('./app-fixture.ts', import.meta.url));

@Injectable()
class Reports {
  readonly losses: string[] = [];
  nights = 0;

  constructor(
    @Inject(SyncManager) readonly sync: SyncManager,
    @InjectLeadership() readonly leadership: Leadership,
    @InjectLeadershipLock() readonly leadershipLock: Lock,
    @InjectLock('reports/daily') readonly daily: Lock,
  ) {
    daily.lost$.subscribe(({ reason }) => this.losses.push(reason));
  }

  @WithLock((id: string) => `reports/${id}`)
  async write(id: string): Promise<string> {
    return `${id} under ${currentGrant().key}`;
  }

  @LeaderOnly()
  async nightly(): Promise<void> {
    this.nights++;
  }
}

@Injectable()
class Settings {
  readonly service = 'billing';
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

@Module({ providers: [Reports], exports: [Reports] })
class ReportsModule {}

const quiet = { logger: false, abortOnError: false } as const;
const nothing = (store: MemoryStore): boolean => store.records().length + store.sessions().length === 0;

async function start(module: ReturnType<typeof SyncModule.forRoot>) {
  @Module({ imports: [module, ReportsModule] })
  class AppModule {}
  return await NestFactory.createApplicationContext(AppModule, quiet);
}

test('forRoot: manager, leadership and locks are injected everywhere; close() stops everything', async () => {
  const store = new MemoryStore();
  const app = await start(SyncModule.forRoot({ name: 'billing', backend: memory({ store }) }));
  const reports = app.get(Reports);
  expect(reports.daily).toBe(reports.sync.lock('reports/daily'));
  expect(reports.leadership).toBe(reports.sync.leadership);
  expect(reports.leadershipLock).toBe(leadershipLock());
  await leadershipLock().lock();
  await reports.nightly();
  expect(reports.nights).toBe(1);
  expect(await reports.write('a')).toBe('a under reports/a');

  const { isOwner } = await reports.daily.lock();
  await new Promise((resolve) => setTimeout(resolve, 150));
  store.commit({ when: [], then: [{ remove: isOwner.key }] });
  await expect.poll(() => reports.losses).toEqual(['record-gone']);

  await app.close();
  expect(nothing(store)).toBe(true);
  await expect(reports.daily.lock()).rejects.toSatisfy((error) => isSyncError(error, 'stopped'));
  expect(() => leadershipLock()).toThrow(expect.objectContaining({ code: 'no-current-manager' }));
});

test('forRootAsync: options come from other providers', async () => {
  const store = new MemoryStore();
  const module = SyncModule.forRootAsync({
    imports: [SettingsModule],
    inject: [Settings],
    useFactory: async ({ service }: Settings) => ({ name: service, backend: memory({ store }) }),
  });
  const app = await start(module);
  expect(app.get(SyncManager).name).toBe('billing');
  await app.close();
  expect(nothing(store)).toBe(true);
});

test('shutdown hooks: a signal gives everything back and ends the process', async () => {
  const address = inject('etcdAddress');
  const name = uniqueKey('nest').replaceAll('/', '-');
  const child = spawnChild(process.execPath, [program(fixture), address, name], {
    stdio: ['ignore', 'pipe', 2],
  });
  const exited = once(child, 'exit');
  await once(child.stdout ?? child, 'data');
  await using operator = etcd({ hosts: address });
  const records = async () =>
    (await operator.query({ prefix: `service/${name}/` }, { signal: live })).records;
  expect(await records()).toHaveLength(1);
  child.kill('SIGTERM');
  expect(await exited).toEqual([null, 'SIGTERM']);
  expect(await records()).toEqual([]);
});

test('an application that cannot be made leaves nothing running', async () => {
  const store = new MemoryStore();
  await expect(start(SyncModule.forRoot({ name: 'a/b', backend: memory({ store }) }))).rejects.toThrow(
    /option "name"/,
  );
  expect(nothing(store)).toBe(true);
});
