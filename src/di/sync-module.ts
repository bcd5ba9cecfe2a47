import { ContainerModule, type ResolutionContext, type ServiceIdentifier } from 'inversify';
import { isThenable } from '../async/realms.ts';
import type { Names } from '../contract/options.ts';
import { checkNames, invalid } from '../contract/options.ts';
import { type ServiceOptions, SyncManager, startService, stopService } from '../index.ts';
import { LEADERSHIP, LEADERSHIP_LOCK, SYNC_BACKEND, SYNC_CLOCK, SYNC_LOGGER } from './identifiers.ts';
import { knownLocks } from './inject-lock.ts';

export interface SyncModuleOptions extends Omit<ServiceOptions, 'backend' | 'current'> {
  /** Not needed where `SYNC_BACKEND` is bound, which comes first. */
  readonly backend?: ServiceOptions['backend'];
}

export interface SyncModuleSettings {
  /**
   * For a second manager in one container: everything of this module is then bound under this name, as for
   * `@inject(SyncManager) @named('audit')`, and it does not become the current manager. Without a name it is what is
   * injected where none is asked for.
   */
  readonly named?: string;
}

/** Functions have a `name` as well, and would otherwise pass for options. */
interface NoFunction {
  readonly call?: never;
}

type Options =
  | (SyncModuleOptions & NoFunction)
  | ((context: ResolutionContext) => SyncModuleOptions | Promise<SyncModuleOptions>);

const SETTINGS: Names<SyncModuleSettings> = { named: true };

/**
 * Binds the manager under its class, `@inject(SyncManager)`, its leadership under `LEADERSHIP` and `LEADERSHIP_LOCK`, and
 * the locks of `@injectLock`, all as singletons. Options may come from the container; if they do so by a promise, it takes
 * `container.getAsync`.
 *
 * The manager's activation, which is its first injection, makes it the current one for `leadershipLock()` and
 * `lockWithKey()` and starts the leadership claim. Its deactivation stops everything; since that does I/O, it takes the
 * asynchronous call: `container.unloadAsync(module)` or `container.unbindAllAsync()`.
 */
export function syncModule(options: Options, settings: SyncModuleSettings = {}): ContainerModule {
  checkNames(settings, SETTINGS);
  const { named } = settings;
  return new ContainerModule(({ bind }) => {
    const manager = { serviceIdentifier: SyncManager, ...(named !== undefined && { name: named }) };
    const activated = bind(SyncManager)
      .toDynamicValue((context) => activate(options, named, context))
      .inSingletonScope();
    (named === undefined ? activated.whenDefault() : activated.whenNamed(named)).onDeactivation(stopService);

    const derive = <T>(identifier: ServiceIdentifier<T>, from: (sync: SyncManager) => T): void => {
      const derived = bind(identifier).toResolvedValue(from, [manager]).inSingletonScope();
      if (named === undefined) derived.whenDefault();
      else derived.whenNamed(named);
    };
    derive(LEADERSHIP_LOCK, (sync) => sync.leadershipLock());
    derive(LEADERSHIP, (sync) => sync.leadership);
    // Their identifiers carry the manager's name.
    for (const { key, identifier } of knownLocks(named)) {
      bind(identifier)
        .toResolvedValue((sync: SyncManager) => sync.lock(key), [manager])
        .inSingletonScope();
    }
  });
}

function activate(
  options: Options,
  named: string | undefined,
  context: ResolutionContext,
): SyncManager | Promise<SyncManager> {
  const given = typeof options === 'function' ? options(context) : options;
  return isThenable(given)
    ? given.then((known) => start(known, named, context))
    : start(given, named, context);
}

function start(
  options: SyncModuleOptions,
  named: string | undefined,
  context: ResolutionContext,
): SyncManager {
  const replaced = <T>(identifier: ServiceIdentifier<T>): T | undefined =>
    context.get(identifier, { optional: true, ...(named !== undefined && { name: named }) });
  const backend = replaced(SYNC_BACKEND) ?? options.backend;
  if (backend === undefined) {
    throw invalid('backend', 'is missing, and SYNC_BACKEND is not bound either');
  }
  const clock = replaced(SYNC_CLOCK) ?? options.clock;
  const logger = replaced(SYNC_LOGGER) ?? options.logger;
  const current = named === undefined;
  return startService({ ...options, backend, current, ...(clock && { clock }), ...(logger && { logger }) });
}
