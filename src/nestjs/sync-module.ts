import {
  type DynamicModule,
  type FactoryProvider,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type Provider,
} from '@nestjs/common';
import type { Names } from '../contract/options.ts';
import { checkNames } from '../contract/options.ts';
import {
  type Backend,
  type Clock,
  type Logger,
  type ServiceOptions,
  SyncManager,
  startService,
  stopService,
} from '../index.ts';
import { makeCurrent } from '../sync/manager/current-manager.ts';
import {
  type InjectOptions,
  knownLocks,
  LEADERSHIP,
  LEADERSHIP_LOCK,
  lockToken,
  namedToken,
  SYNC_BACKEND,
  SYNC_CLOCK,
  SYNC_LOGGER,
} from './inject.ts';
import { type LoggerOption, loggerOf } from './logger.ts';

export interface SyncModuleOptions extends Omit<ServiceOptions, 'backend' | 'current' | 'logger'> {
  /** Not needed where `SYNC_BACKEND` is overridden. */
  readonly backend?: ServiceOptions['backend'];
  /** Default: Nest's own. `false`: none, so that losses and trouble that lasts become process warnings. */
  readonly logger?: LoggerOption;
}

export interface SyncModuleSettings {
  /**
   * For a second manager in one application: everything of this module is provided under this name, as for
   * `@InjectSyncManager('audit')`, and it does not become the current manager.
   */
  readonly named?: string;
}

export interface SyncModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'>, SyncModuleSettings {
  /** What the factory gets, in this order. */
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...injected: never[]) => SyncModuleOptions | Promise<SyncModuleOptions>;
}

const SETTINGS: Names<SyncModuleSettings> = { named: true };
const ASYNC: Names<SyncModuleAsyncOptions> = { ...SETTINGS, imports: true, inject: true, useFactory: true };
/** Within a module only. */
const OPTIONS = Symbol('holdfast.Options');
const LIFE = Symbol('holdfast.Life');

/**
 * Provides the manager under its class, its leadership, and the locks of `@InjectLock`, in all modules of the application.
 * The manager is made with the application, becomes the current one and stands for leadership; it is stopped by
 * `app.close()`, and by signals if the application has enabled its shutdown hooks.
 *
 * Classes that use `@InjectLock` are known when the application is made. What is loaded later asks for its locks with `forFeature`.
 */
// biome-ignore lint/complexity/noStaticOnlyClass: for Nest a module is a class
export class SyncModule {
  static forRoot(options: SyncModuleOptions, settings: SyncModuleSettings = {}): DynamicModule {
    checkNames(settings, SETTINGS);
    return moduleOf({ provide: OPTIONS, useValue: options }, settings.named);
  }

  static forRootAsync(options: SyncModuleAsyncOptions): DynamicModule {
    checkNames(options, ASYNC);
    const { imports = [], inject = [], useFactory, named } = options;
    const make = (...injected: unknown[]) => useFactory(...(injected as never[]));
    return moduleOf({ provide: OPTIONS, inject, useFactory: make }, named, imports);
  }

  /** The locks of these keys, for the classes of the module that imports it. */
  static forFeature(keys: readonly string[], options: InjectOptions = {}): DynamicModule {
    const tokens = keys.map((key) => ({ token: lockToken(key, options), key }));
    return {
      module: SyncModule,
      providers: tokens.map(({ token, key }) => lockProvider(token, key, options.manager)),
      exports: tokens.map(({ token }) => token),
    };
  }
}

// As a call, so that this file does not depend on the kind of decorators that it is compiled with.
Module({})(SyncModule);

/** Also of a manager that was put in the place of the module's own. */
class Life implements OnApplicationShutdown {
  readonly #manager: SyncManager;
  readonly #forget: (() => void) | undefined;

  constructor(manager: SyncManager, isCurrent: boolean) {
    this.#manager = manager;
    this.#forget = isCurrent ? makeCurrent(manager) : undefined;
  }

  async onApplicationShutdown(): Promise<void> {
    // A test may have put anything there.
    if (typeof this.#manager.stop === 'function') await stopService(this.#manager);
    this.#forget?.();
  }
}

function moduleOf(
  options: Provider<SyncModuleOptions>,
  named: string | undefined,
  imports: ModuleMetadata['imports'] = [],
): DynamicModule {
  const token = (of: Parameters<typeof namedToken>[0]) => namedToken(of, named);
  const manager = token(SyncManager);
  const part = <T>(provide: symbol, from: (options: SyncModuleOptions) => T): FactoryProvider<T> => ({
    provide: token(provide),
    inject: [OPTIONS],
    useFactory: from,
  });
  const derived = (provide: symbol, from: (sync: SyncManager) => unknown): FactoryProvider => ({
    provide: token(provide),
    inject: [manager],
    useFactory: from,
  });
  const start = (
    given: SyncModuleOptions,
    backend: ServiceOptions['backend'],
    clock: Clock | undefined,
    logger: Logger | undefined,
  ): SyncManager => {
    const { logger: _, ...rest } = given;
    const current = named === undefined;
    return startService({ ...rest, backend, current, ...(clock && { clock }), ...(logger && { logger }) });
  };
  const own: Provider[] = [
    options,
    part<Backend | (() => Backend) | undefined>(SYNC_BACKEND, ({ backend }) => backend),
    part(SYNC_CLOCK, ({ clock }) => clock),
    part(SYNC_LOGGER, ({ logger }) => loggerOf(logger)),
    {
      provide: manager,
      inject: [OPTIONS, token(SYNC_BACKEND), token(SYNC_CLOCK), token(SYNC_LOGGER)],
      useFactory: start,
    },
    {
      provide: LIFE,
      inject: [manager],
      useFactory: (sync: SyncManager) => new Life(sync, named === undefined),
    },
    derived(LEADERSHIP, (sync) => sync.leadership),
    derived(LEADERSHIP_LOCK, (sync) => sync.leadershipLock()),
  ];
  const exported = [manager, token(LEADERSHIP), token(LEADERSHIP_LOCK)];
  return {
    module: SyncModule,
    global: true,
    imports,
    // Read when the application is made: then the classes are defined that ask for locks, also those that come after this call.
    get providers() {
      return [...own, ...knownLocks(named).map(({ token: lock, key }) => lockProvider(lock, key, named))];
    },
    get exports() {
      return [...exported, ...knownLocks(named).map(({ token: lock }) => lock)];
    },
  };
}

function lockProvider(provide: symbol, key: string, manager: string | undefined): FactoryProvider {
  return {
    provide,
    inject: [namedToken(SyncManager, manager)],
    useFactory: (sync: SyncManager) => sync.lock(key),
  };
}
