import type { SyncManager } from 'holdfast';
import { LeaderOnly } from 'holdfast/decorators';

/** Runs a job if this process may. */
export type Try = (sync: SyncManager, job: () => Promise<void>) => Promise<unknown>;

class Cron {
  readonly sync: SyncManager;
  readonly job: () => Promise<void>;

  constructor(sync: SyncManager, job: () => Promise<void>) {
    this.sync = sync;
    this.job = job;
  }

  @LeaderOnly({ manager: (self: Cron) => self.sync })
  async run(): Promise<void> {
    await this.job();
  }
}

/** What a program does ten times a second, by any of the calls that only try. */
export const tries: Record<string, Try> = {
  'leadershipLock().tryLock()': async (sync, job) => (await sync.leadershipLock().tryLock()) && (await job()),
  'leadership.ask()': async (sync, job) => (await sync.leadership.ask()) && (await job()),
  '@LeaderOnly()': (sync, job) => new Cron(sync, job).run(),
  'tryAcquire()': async (sync, job) => {
    const grant = await sync.tryAcquire('job');
    if (grant === undefined) return;
    await job();
    await grant.release();
  },
};
