import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type Provider,
} from '@nestjs/common';
import { type ServiceOptions, SyncManager, startService, stopService } from '../index.ts';
import { knownLocks, LEADERSHIP, LEADERSHIP_LOCK } from './inject.ts';

export type SyncModuleOptions = Omit<ServiceOptions, 'current'>;

export interface SyncModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** What the factory gets, in this order. */
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...injected: never[]) => SyncModuleOptions | Promise<SyncModuleOptions>;
}

/**
 * Provides the manager under its class, its leadership, and the locks of `@InjectLock`, in all modules of the application.
 * The manager is made with the application, becomes the current one and stands for leadership; it is stopped by
 * `app.close()`, and by signals if the application has enabled its shutdown hooks.
 *
 * The classes that use `@InjectLock` have to be defined, which importing them does, before the module is made.
 */
export class SyncModule implements OnApplicationShutdown {
  readonly #manager: SyncManager;

  constructor(manager: SyncManager) {
    this.#manager = manager;
  }

  static forRoot(options: SyncModuleOptions): DynamicModule {
    return moduleOf({ provide: SyncManager, useFactory: () => startService(options) });
  }

  static forRootAsync({ imports = [], inject = [], useFactory }: SyncModuleAsyncOptions): DynamicModule {
    const make = async (...injected: unknown[]): Promise<SyncManager> =>
      startService(await useFactory(...(injected as never[])));
    return moduleOf({ provide: SyncManager, inject, useFactory: make }, imports);
  }

  onApplicationShutdown(): Promise<void> {
    return stopService(this.#manager);
  }
}

// As calls, so that this file does not depend on the kind of decorators that it is compiled with.
Module({})(SyncModule);
Inject(SyncManager)(SyncModule, undefined, 0);

function moduleOf(
  manager: FactoryProvider<SyncManager>,
  imports: ModuleMetadata['imports'] = [],
): DynamicModule {
  const derived = (provide: symbol, from: (sync: SyncManager) => unknown): Provider => ({
    provide,
    inject: [SyncManager],
    useFactory: from,
  });
  const providers: Provider[] = [
    manager,
    derived(LEADERSHIP, (sync) => sync.leadership),
    derived(LEADERSHIP_LOCK, (sync) => sync.leadershipLock()),
    ...knownLocks().map(([token, key]) => derived(token, (sync) => sync.lock(key))),
  ];
  const tokens = [SyncManager, LEADERSHIP, LEADERSHIP_LOCK, ...knownLocks().map(([token]) => token)];
  return { module: SyncModule, global: true, imports, providers, exports: tokens };
}
