import type { Clock } from '../../async/clock.ts';
import { sleep } from '../../async/sleep.ts';
import type { Backend } from '../../contract/backend.ts';
import { wasRefused } from '../../contract/retry.ts';
import type { Session } from '../session/session.ts';
import type { SessionKeeper } from '../session/session-keeper.ts';

/** How often we look for what a lost reply may have left behind, in milliseconds. */
const SWEEP_INTERVAL = 500;

/**
 * A request that had no answer may still be on its way for so long, in milliseconds: a network that was cut delivers late
 * what it held. With a longer TTL, for that long.
 */
const LATEST_ARRIVAL = 10_000;

export interface LeftoversHost {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly keeper: SessionKeeper;
}

/** What requests of one contender that had no answer may have left at the store, or may yet leave there. */
export class Leftovers {
  readonly #host: LeftoversHost;
  /** Until when such a request may still take effect. Monotonic milliseconds. */
  #until = Number.NEGATIVE_INFINITY;

  constructor(host: LeftoversHost) {
    this.#host = host;
  }

  get possible(): boolean {
    return this.#host.clock.now() < this.#until;
  }

  /** What an attempt came to. When it was refused, the server said no before it did anything. */
  failed(session: Session, error: unknown): void {
    if (wasRefused(error)) return;
    this.#until = this.#host.clock.now() + Math.max(session.ttl, LATEST_ARRIVAL);
  }

  /**
   * Looks from time to time whether something stands in our name: a record that nobody holds would keep everybody out for as
   * long as our session lives. Resolves with that session, or with nothing when there is nothing to be looked for any more.
   * Rejects with the signal's reason.
   */
  async find(record: (session: Session) => string, signal: AbortSignal): Promise<Session | undefined> {
    const { backend, clock, keeper } = this.#host;
    while (this.possible) {
      await sleep(clock, SWEEP_INTERVAL, signal);
      const session = keeper.current;
      if (session === undefined) continue;
      try {
        const { records } = await backend.query({ key: record(session) }, { signal });
        if (records[0]?.session === session.id) return session;
      } catch {
        signal.throwIfAborted();
      }
    }
    return undefined;
  }
}
