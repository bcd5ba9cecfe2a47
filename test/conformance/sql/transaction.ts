import type { ConformancePause } from 'holdfast/testing';
import { RecordTable, type Row } from '../../../src/backends/memory/records.ts';
import type { Scope } from '../../../src/contract/backend.ts';
import type { Database, SessionRow } from './database.ts';

type Change = { readonly put: Row } | { readonly remove: Row };

/**
 * Its statements see what is committed when each of them runs, and what it wrote itself; others see what it wrote once it is
 * committed. Between two statements anything may happen.
 */
export class Transaction {
  readonly #database: Database;
  readonly #pause: ConformancePause;
  readonly #unlocks: (() => void)[] = [];
  readonly #changes: Change[] = [];
  readonly #sessions: (() => void)[] = [];

  constructor(database: Database, pause: ConformancePause) {
    this.#database = database;
    this.#pause = pause;
  }

  /** Until its end, and in one order for everybody: no two wait for each other. */
  async lock(names: Iterable<string>): Promise<void> {
    for (const name of [...new Set(names)].sort()) this.#unlocks.push(await this.#database.lock(name));
  }

  async statement<T>(name: string, run: () => T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve));
    const result = run();
    await this.#pause(`after ${name}`);
    return result;
  }

  select(scope: Scope): Row[] {
    if (this.#changes.length === 0) return this.#database.records.select(scope);
    const seen = new RecordTable();
    for (const row of this.#database.records.select(asPrefix(scope))) seen.set(row);
    for (const change of this.#changes) {
      if ('put' in change) seen.set(change.put);
      else seen.delete(change.remove.key);
    }
    return seen.select(scope);
  }

  get(key: string): Row | undefined {
    return this.select({ key })[0];
  }

  put(row: Row): void {
    this.#changes.push({ put: row });
  }

  remove(row: Row): void {
    this.#changes.push({ remove: row });
  }

  setSession(session: SessionRow): void {
    this.#sessions.push(() => this.#database.sessions.set(session.id, session));
  }

  deleteSession(id: string): void {
    this.#sessions.push(() => this.#database.sessions.delete(id));
  }

  get keys(): string[] {
    return this.#changes.map((change) => ('put' in change ? change.put.key : change.remove.key));
  }

  /** In one step. What was replaced since it was seen is somebody else's, and stays. */
  apply(): void {
    const { records } = this.#database;
    for (const change of this.#changes) {
      if ('put' in change) records.set(change.put);
      else if (records.get(change.remove.key)?.revision === change.remove.revision)
        records.delete(change.remove.key);
    }
    for (const set of this.#sessions) set();
  }

  end(): void {
    for (const unlock of this.#unlocks.splice(0)) unlock();
  }
}

function asPrefix(scope: Scope): Scope {
  return scope.key !== undefined ? scope : { prefix: scope.prefix };
}
