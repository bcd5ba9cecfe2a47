import type { Commit, CommitResult, Condition, Scope, StoredRecord } from 'holdfast';
import { byCreation } from 'holdfast/kit';

interface Session {
  readonly ttl: number;
  /** Milliseconds of the wall clock, which all processes of a machine share. */
  expires: number;
}

interface Row {
  readonly value: string;
  readonly session: string | undefined;
  readonly created: number;
  readonly revision: number;
}

/** What stands in the file. Every commit that changes something has a revision of its own, larger than all before. */
export class State {
  revision = 0;
  readonly #sessions: Map<string, Session>;
  readonly #rows: Map<string, Row>;

  constructor(text: string | undefined) {
    const { revision = 0, sessions = [], rows = [] } = text === undefined ? {} : JSON.parse(text);
    this.revision = revision;
    this.#sessions = new Map(sessions);
    this.#rows = new Map(rows);
  }

  toString(): string {
    return JSON.stringify({ revision: this.revision, sessions: [...this.#sessions], rows: [...this.#rows] });
  }

  /** What an expired session owned goes with it. `false`: there was none. */
  expire(now: number): boolean {
    const expired = [...this.#sessions].filter(([, { expires }]) => expires <= now).map(([id]) => id);
    for (const id of expired) this.close(id);
    return expired.length > 0;
  }

  open(id: string, ttl: number, now: number): void {
    this.#sessions.set(id, { ttl, expires: now + ttl });
  }

  renew(id: string, now: number): 'renewed' | 'gone' {
    const session = this.#sessions.get(id);
    if (session === undefined) return 'gone';
    session.expires = now + session.ttl;
    return 'renewed';
  }

  close(id: string): void {
    this.#sessions.delete(id);
    const owned = [...this.#rows].filter(([, { session }]) => session === id);
    if (owned.length > 0) this.revision += 1;
    for (const [key] of owned) this.#rows.delete(key);
  }

  commit({ when, then, read, count }: Commit): CommitResult {
    const gone = then.some(({ session }) => session !== undefined && !this.#sessions.has(session));
    const why = when.every((condition) => this.#holds(condition))
      ? gone
        ? 'session-gone'
        : undefined
      : 'conflict';
    if (why !== undefined) return { ok: false, why, ...(read && { read: this.select(read) }) };
    if (then.length > 0) this.revision += 1;
    for (const { put, remove, value, session } of then) {
      if (put === undefined) this.#rows.delete(remove);
      else {
        const created = this.#rows.get(put)?.created ?? this.revision;
        const text = Buffer.from(value).toString('base64');
        this.#rows.set(put, { value: text, session, created, revision: this.revision });
      }
    }
    const revision = BigInt(this.revision);
    if (count !== undefined) return { ok: true, revision, count: this.select({ prefix: count }).length };
    return { ok: true, revision, ...(read && { read: this.select(read) }) };
  }

  select(scope: Scope): StoredRecord[] {
    const all = [...this.#rows].map(([key, row]) => recordOf(key, row));
    if (scope.key !== undefined) return all.filter(({ key }) => key === scope.key);
    const inside = all.filter(({ key }) => key.startsWith(scope.prefix)).sort(byCreation);
    if (scope.oldest !== undefined) return inside.slice(0, scope.oldest);
    if (scope.youngest === undefined) return inside;
    return inside
      .filter(({ created }) => created < scope.before)
      .reverse()
      .slice(0, scope.youngest);
  }

  #holds(condition: Condition): boolean {
    const row = this.#rows.get(condition.key);
    if (condition.revision !== undefined)
      return row !== undefined && BigInt(row.revision) === condition.revision;
    if (condition.session !== undefined) return row?.session === condition.session;
    return condition.is === 'absent' ? row === undefined : row?.session === undefined;
  }
}

function recordOf(key: string, { value, session, created, revision }: Row): StoredRecord {
  const bytes = new Uint8Array(Buffer.from(value, 'base64'));
  return { key, value: bytes, session, created: BigInt(created), revision: BigInt(revision) };
}
