import { clearTimeout, setTimeout } from '../../async/platform.ts';

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
  readonly #past: (id: string) => void;

  constructor(past: (id: string) => void) {
    this.#past = past;
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
    if (own === undefined) return;
    clearTimeout(own.timer);
    own.timer = setTimeout(() => {
      this.#past(id);
      this.renewed(id);
    }, own.ttl + 1);
    own.timer.unref();
  }

  delete(id: string): void {
    clearTimeout(this.#sessions.get(id)?.timer);
    this.#sessions.delete(id);
  }

  end(): void {
    for (const { timer } of this.#sessions.values()) clearTimeout(timer);
    this.#sessions.clear();
  }
}
