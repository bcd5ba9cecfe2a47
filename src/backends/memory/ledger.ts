import type { Condition, Mutation, Revision, Scope } from '../../contract/backend.ts';
import type { Change } from './interest.ts';
import { RecordTable, type Row } from './records.ts';
import type { SessionTable } from './sessions.ts';

type Put = Extract<Mutation, { put: string }>;

/** All records of a store, at one revision. */
export interface LedgerCopy {
  readonly rows: readonly Row[];
  readonly revision: Revision;
}

/** The records with the rules by which commits change them. It knows no time and nobody who waits. */
export class Ledger {
  readonly #records = new RecordTable();
  readonly #sessions: SessionTable;
  readonly #race: boolean;
  #revision: Revision = 0n;

  constructor(sessions: SessionTable, race: boolean) {
    this.#sessions = sessions;
    this.#race = race;
  }

  get revision(): Revision {
    return this.#revision;
  }

  select(scope: Scope): Row[] {
    return this.#records.select(scope);
  }

  /** Loses everything: revisions restart. */
  clear(): void {
    this.#records.clear();
    this.#revision = 0n;
  }

  copy(): LedgerCopy {
    return { rows: this.#records.select({ prefix: '' }), revision: this.#revision };
  }

  /** Back to that copy. The sessions stay those of now: what belongs to others is left out. */
  restore({ rows, revision }: LedgerCopy): void {
    this.#records.clear();
    for (const { owned } of this.#sessions.values()) owned.clear();
    for (const row of rows) {
      const owner = row.session === undefined ? undefined : this.#sessions.get(row.session);
      if (row.session !== undefined && owner === undefined) continue;
      owner?.owned.add(row.key);
      this.#records.set(row);
    }
    this.#revision = revision;
  }

  /** Why the server would not apply this, or nothing when it would. */
  refusal(when: readonly Condition[], then: readonly Mutation[]): 'conflict' | 'session-gone' | undefined {
    if (!when.every((condition) => this.#holds(condition))) return 'conflict';
    for (const put of then) {
      if (put.put === undefined || put.session === undefined) continue;
      if (this.#sessions.get(put.session) === undefined) return 'session-gone';
      const owner = this.#records.get(put.put)?.session;
      const taken = owner !== undefined && owner !== put.session;
      if (taken && this.#race) return 'conflict';
    }
    return undefined;
  }

  #holds(condition: Condition): boolean {
    const row = this.#records.get(condition.key);
    if (condition.revision !== undefined) return row?.revision === condition.revision;
    if (condition.session !== undefined) return row !== undefined && row.session === condition.session;
    return condition.is === 'absent' ? row === undefined : row?.session === undefined;
  }

  /** One step, and one revision if anything changes. */
  apply(then: readonly Mutation[]): Change[] {
    const revision = this.#revision + 1n;
    const changes = then.flatMap((mutation) =>
      mutation.put !== undefined ? this.#put(mutation, revision) : this.#remove(mutation.remove, revision),
    );
    if (changes.length > 0) this.#revision = revision;
    return changes;
  }

  /** The revision of the youngest record put, or of the store where none was. */
  written(then: readonly Mutation[]): Revision {
    let youngest: Revision | undefined;
    for (const put of then) {
      const revision = put.put !== undefined ? this.#records.get(put.put)?.revision : undefined;
      if (revision !== undefined && (youngest === undefined || revision > youngest)) youngest = revision;
    }
    return youngest ?? this.#revision;
  }

  #put({ put: key, value, session }: Put, revision: Revision): Change[] {
    const old = this.#records.get(key);
    // In Consul a plain write leaves the owner of a record in place, and taking a free one makes a lock anew.
    const owner = this.#race ? (session ?? old?.session) : session;
    const anew = old === undefined || (this.#race && session !== undefined && old.session === undefined);
    const created = anew ? revision : old.created;
    const foreign = this.#race && session === undefined ? 'a plain value' : undefined;
    // Consul takes a put of what is there already for no change: the revision stays.
    const same = old?.session === owner && old?.foreign === foreign && equal(old?.value, value);
    if (this.#race && same) return [];
    this.#disown(old);
    if (owner !== undefined) this.#sessions.get(owner)?.owned.add(key);
    this.#records.set({ key, value: new Uint8Array(value), session: owner, created, revision, foreign });
    const change = { key, created, revision };
    return old === undefined || !anew ? [change] : [{ key, created: old.created, revision }, change];
  }

  #remove(key: string, revision: Revision): Change[] {
    const old = this.#records.get(key);
    if (old === undefined) return [];
    this.#disown(old);
    this.#records.delete(key);
    return [{ key, created: old.created, revision }];
  }

  #disown(row: Row | undefined): void {
    if (row?.session !== undefined) this.#sessions.get(row.session)?.owned.delete(row.key);
  }
}

function equal(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a?.length === b.length && a.every((byte, i) => byte === b[i]);
}
