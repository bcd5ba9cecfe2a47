import { setTimeout as sleep } from 'node:timers/promises';
import { type Leadership, type LeaderWork, SyncManager, type Term } from 'holdfast';
import { LEADERSHIP } from 'holdfast/di';
import { inject, injectable } from 'inversify';
import type { Logger } from 'pino';
import { LOG, SETTINGS } from './identifiers.ts';
import type { Settings } from './settings.ts';

/** Milliseconds that one settlement takes. */
const TAKES = 50;

/** The scheduled job, which only the leader runs. */
@injectable()
export class Settlement {
  constructor(
    @inject(SyncManager) private readonly sync: SyncManager,
    @inject(LEADERSHIP) private readonly leadership: Leadership,
    @inject(SETTINGS) private readonly settings: Settings,
    @inject(LOG) private readonly log: Logger,
  ) {}

  #work: LeaderWork | undefined;

  /** From now on this replica stands for leadership. */
  start(): void {
    this.#work = this.leadership.whileLeader(async (term) => {
      this.log.info({ token: String(term.token) }, 'leads');
      await this.#repeat(term);
    });
  }

  /** Ends the job, lets another replica lead, and does not stand any more. */
  async stop(): Promise<void> {
    await this.#work?.stop();
    await this.leadership.lock.release();
  }

  /** The first one after an interval: whoever led before has heard by then that it does not lead any more. */
  async #repeat(term: Term): Promise<void> {
    for (;;) {
      await sleep(this.settings.interval, undefined, { signal: term.signal });
      await this.#settle(term);
    }
  }

  async #settle({ grant, signal }: Term): Promise<void> {
    this.log.info('settlement begins');
    try {
      await sleep(TAKES, undefined, { signal });
      // Refused by the store, should there be another leader by now.
      const key = `${this.sync.name}-data/settled`;
      const value = JSON.stringify({ by: this.settings.replica, token: String(grant.token) });
      const { ok } = await this.sync.commit({ when: [grant.isOwner], then: [{ put: key, value }] });
      this.log.info({ ok }, 'settled');
    } finally {
      this.log.info('settlement ends');
    }
  }
}
