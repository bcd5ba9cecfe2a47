import { refused } from '../../contract/errors.ts';
import { keyProblem } from '../../contract/keys.ts';
import type { Names } from '../../contract/options.ts';
import { checkNames, invalid } from '../../contract/options.ts';
import { quoteKey } from '../../contract/quote.ts';
import type { Grant } from '../callers/grant.ts';
import type { SyncManager } from './sync-manager.ts';

export interface CronCoordinatorOptions {
  /** Below which the locks of tasks are kept, each by its task's name. Default `cron`. */
  readonly prefix?: string;
}

/** What `node-cron` from 4.4 on asks of a `runCoordinator`. */
export interface CronCoordinator {
  shouldRun(key: string, ttlMs?: number): Promise<boolean>;
  onComplete(key: string): Promise<void>;
}

const OPTIONS: Names<CronCoordinatorOptions> = { prefix: true };
/** The name of a task, and the time for which it is scheduled. */
const SLOT = /^(.+):(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)$/;

/**
 * For tasks of `node-cron` with `distributed: true`: each scheduled time runs on one replica at most, and none begins while an earlier
 * one is still run. Which time it is `node-cron` says, so that it does not matter how far clocks differ.
 *
 * ```
 * cron.schedule('0 3 * * *', backup, { name: 'backup', distributed: true, runCoordinator: cronCoordinator(sync) });
 * ```
 *
 * A task holds its lock while it runs, for as long as that takes: `distributedLease` is not needed.
 */
export function cronCoordinator(manager: SyncManager, options: CronCoordinatorOptions = {}): CronCoordinator {
  checkNames(options, OPTIONS);
  const { prefix = 'cron' } = options;
  const problem = keyProblem(prefix);
  if (problem !== undefined) throw invalid('prefix', problem);
  const running = new Map<string, { readonly key: string; readonly grant: Grant }>();
  return {
    async shouldRun(slot) {
      const [, name, time] = SLOT.exec(slot) ?? [];
      if (name === undefined || time === undefined) {
        const hint = 'a task needs a name, and node-cron says its time behind it';
        throw refused('invalid-option', `${quoteKey(slot)} is not a task and its time: ${hint}`);
      }
      const key = `${prefix}/${name}`;
      const tick = Date.parse(time);
      const begun = await manager.onceRuns.begin(
        key,
        {},
        (last) => last.tick !== undefined && last.tick >= tick,
        tick,
      );
      if (typeof begun === 'string') return false;
      running.set(slot, { key, grant: begun });
      return true;
    },
    async onComplete(slot) {
      const run = running.get(slot);
      if (run === undefined) return;
      running.delete(slot);
      manager.onceRuns.finish(run.key);
      await run.grant.release();
    },
  };
}
