// Compiled by `npm run typecheck`, never run: what users may inject, and what must not compile.
import { Logger as NestLogger } from '@nestjs/common';
import { type Backend, type Leadership, type Lock, type Logger, SyncManager } from 'holdfast';
import {
  injectLock,
  LEADERSHIP,
  LEADERSHIP_LOCK,
  lockIdentifier,
  SYNC_BACKEND,
  SYNC_CLOCK,
  SYNC_LOGGER,
  syncModule,
} from 'holdfast/di';
import { memory } from 'holdfast/memory';
import { InjectLock, lockToken, SyncModule } from 'holdfast/nestjs';
import type { Container } from 'inversify';

const backend: Backend = memory();

export function inversify(container: Container): void {
  const manager: SyncManager = container.get(SyncManager);
  const lock: Lock = container.get(LEADERSHIP_LOCK);
  const daily: Lock = container.get(lockIdentifier('reports/daily'));
  const leadership: Leadership = container.get(LEADERSHIP);
  // @ts-expect-error the leadership is not its lock
  const mistaken: Lock = container.get(LEADERSHIP);
  // @ts-expect-error a lock is no manager
  const other: SyncManager = container.get(lockIdentifier('k'));
  void [manager, lock, daily, leadership, mistaken, other];

  container.bind(SYNC_BACKEND).toConstantValue(backend);
  container.bind(SYNC_LOGGER).toConstantValue(console);
  // @ts-expect-error a logger is no backend
  container.bind(SYNC_BACKEND).toConstantValue(console);
  // @ts-expect-error a date is no clock
  container.bind(SYNC_CLOCK).toConstantValue(Date);
  // @ts-expect-error one level is missing
  container.bind(SYNC_LOGGER).toConstantValue({ debug() {}, info() {}, warn() {} });
}

syncModule({ name: 'svc' });
syncModule({ name: 'svc', backend }, { named: 'audit' });
syncModule((context) => ({ name: context.get<string>('service'), logger: context.get<Logger>('log') }));
syncModule(async () => ({ name: 'svc', backend }));
// @ts-expect-error whether it becomes the current one follows from its name
syncModule({ name: 'svc', backend, current: false });
// @ts-expect-error options come before settings
syncModule({ named: 'audit' });
// @ts-expect-error a factory gives options
syncModule(() => 'svc');
// @ts-expect-error a lock of a manager is named by that manager's name
injectLock('k', { named: 'audit' });

SyncModule.forRoot({ name: 'svc', backend });
SyncModule.forRootAsync({ inject: ['name'], useFactory: (name: string) => ({ name, backend }) });
SyncModule.forRoot({ name: 'svc', logger: false });
SyncModule.forRoot({ name: 'svc', backend: () => backend, logger: new NestLogger() }, { named: 'audit' });
SyncModule.forFeature(['reports'], { manager: 'audit' });
// @ts-expect-error whether it becomes the current one follows from its name
SyncModule.forRoot({ name: 'svc', backend, current: false });
// @ts-expect-error keys are text
SyncModule.forFeature([lockToken('k')]);
// @ts-expect-error a factory gives options
SyncModule.forRootAsync({ useFactory: () => ({ backend }) });
// @ts-expect-error a key is text
InjectLock(lockToken('k'));
