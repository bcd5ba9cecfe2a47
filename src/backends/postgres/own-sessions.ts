import { clearTimeout, setTimeout } from '../../async/platform.ts';

/** In a row, without a renewal: by then others have looked, or there is nobody who would. */
const MOST_LOOKS = 5;

interface Own {
  readonly ttl: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Sessions of this client. Nobody else may look at what they own: so who has opened one looks himself whether it is past its
 * time, once for each TTL without a renewal.
 */
export class OwnSessions {
  readonly #sessions = new Map<string, Own>();
  readonly #bury: (id: string) => Promise<number>;

  /** @param bury ends it if it is past its time, and gives how many it has ended. Never rejects. */
  constructor(bury: (id: string) => Promise<number>) {
    this.#bury = bury;
  }

  has(id: string): boolean {
    return this.#sessions.has(id);
  }

  add(id: string, ttl: number): void {
    this.#sessions.set(id, { ttl, timer: undefined });
    this.renewed(id);
  }

  renewed(id: string): void {
    const own = this.#sessions.get(id);
    if (own !== undefined) this.#await(id, own, MOST_LOOKS);
  }

  delete(id: string): void {
    clearTimeout(this.#sessions.get(id)?.timer);
    this.#sessions.delete(id);
  }

  end(): void {
    for (const { timer } of this.#sessions.values()) clearTimeout(timer);
    this.#sessions.clear();
  }

  #await(id: string, own: Own, looks: number): void {
    clearTimeout(own.timer);
    if (looks === 0) return;
    own.timer = setTimeout(() => {
      this.#await(id, own, looks - 1);
      void this.#bury(id).then((buried) => {
        if (buried > 0) this.delete(id);
      });
    }, own.ttl + 1);
    own.timer.unref();
  }
}
