import type { SessionOptions } from '../../contract/backend.ts';

export interface Session {
  readonly id: string;
  readonly name: string;
  /** Milliseconds. */
  readonly ttl: number;
  readonly lockDelay: number;
  /** When the store ends it, on the store's clock. */
  expires: number;
  /** The keys of the records it owns. */
  readonly owned: Set<string>;
}

export class SessionTable {
  readonly #sessions = new Map<string, Session>();
  /** The factor by which a TTL may be exceeded before the store ends the session. */
  readonly #expiry: number;
  #opened = 0;
  /** Nothing expires before this instant. A renewal leaves it too early, which costs one look. */
  #nextExpiry = Number.POSITIVE_INFINITY;

  constructor(expiry: number) {
    this.#expiry = expiry;
  }

  get nextExpiry(): number {
    return this.#nextExpiry;
  }

  /** Ids are counted and not random, so that a simulation is repeatable. */
  open({ name, ttl, lockDelay }: SessionOptions, now: number): Session {
    const id = (++this.#opened).toString(16).padStart(16, '0');
    const session = { id, name, ttl, lockDelay, expires: now + ttl * this.#expiry, owned: new Set<string>() };
    this.#sessions.set(id, session);
    this.#nextExpiry = Math.min(this.#nextExpiry, session.expires);
    return session;
  }

  renew(id: string, now: number): boolean {
    const session = this.#sessions.get(id);
    if (session === undefined) return false;
    session.expires = now + session.ttl * this.#expiry;
    return true;
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  values(): Iterable<Session> {
    return this.#sessions.values();
  }

  /** Takes out the sessions whose time has come. */
  takeExpired(now: number): Session[] {
    if (now < this.#nextExpiry) return [];
    const expired = [...this.#sessions.values()].filter((session) => session.expires <= now);
    for (const { id } of expired) this.#sessions.delete(id);
    this.#nextExpiry = Math.min(
      Number.POSITIVE_INFINITY,
      ...[...this.#sessions.values()].map((session) => session.expires),
    );
    return expired;
  }

  take(id: string): Session | undefined {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    return session;
  }

  clear(): void {
    this.#sessions.clear();
    this.#nextExpiry = Number.POSITIVE_INFINITY;
  }
}
